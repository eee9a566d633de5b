#include <string.h>

#include "common/isa.h"
#include "separable_conv/dsp.h"

#if SPARSESEP_HAS_DSP_LAYOUTS

// A call's constants.
typedef struct Frame {
  SparsesepStage vertical;
  SparsesepStage horizontal;
  const SparsesepSeparableConv* conv;
  const SparsesepConvShape* shape;
  uint32_t* acc[2];
  uint32_t* columns;
  uint32_t* row;
  int8_t* outputs;  // of the vertical stage at one place
  SparsesepMultiplyDspPair multiply;
} Frame;

static uint32_t word_of(int32_t low, int32_t high) {
  return (uint32_t)(uint16_t)low | (uint32_t)high << 16;
}

static uint32_t load_word(const int8_t* from) {
  uint32_t word;
  memcpy(&word, from, sizeof(word));
  return word;
}

// Bytes 0 and 2 of `word` as int16.
static uint32_t even_bytes(uint32_t word) {
  uint32_t result;
  __asm__("sxtb16 %0, %1" : "=r"(result) : "r"(word));
  return result;
}

static uint32_t odd_bytes(uint32_t word) {
  uint32_t result;
  __asm__("sxtb16 %0, %1, ror #8" : "=r"(result) : "r"(word));
  return result;
}

static void fill(uint32_t* to, uint32_t words, int32_t value) {
  const uint32_t word = word_of(value, value);
  while (words-- > 0) *to++ = word;
}

// One tap of two columns. Returns the end of what was written.
static uint32_t* widen(const int8_t* first, const int8_t* second,
                       uint32_t channels, uint32_t* to) {
  uint32_t n = 0;
  for (; n + 4 <= channels; n += 4, to += 4) {
    const uint32_t a = load_word(first + n);
    const uint32_t b = load_word(second + n);
    to[0] = even_bytes(a);
    to[1] = even_bytes(b);
    to[2] = odd_bytes(a);
    to[3] = odd_bytes(b);
  }
  for (; n < channels; n += 2, to += 2) {
    const uint32_t both = n + 1 < channels;
    to[0] = word_of(first[n], both ? first[n + 1] : 0);
    to[1] = word_of(second[n], both ? second[n + 1] : 0);
  }
  return to;
}

// Outputs of the vertical stage to the places where they are read: as first
// column (`own`), and where there is one before it, as second (`other`). Those
// after the last channel may be anything: their weights are 0.
static void spread(const int8_t* from, uint32_t channels, uint32_t* own,
                   uint32_t* other) {
  uint32_t n = 0;
  for (; n + 4 <= channels; n += 4) {
    const uint32_t four = load_word(from + n);
    const uint32_t even = even_bytes(four);
    const uint32_t odd = odd_bytes(four);
    own[n] = even;
    own[n + 2] = odd;
    other[n] = even;
    other[n + 2] = odd;
  }
  for (; n < channels; n += 2) {
    own[n] = other[n] = word_of(from[n], from[n + 1]);
  }
}

static void load_columns(const Frame* f, const int8_t* input, int32_t y,
                         uint32_t x, uint32_t second) {
  const uint32_t channels = f->vertical.channels;
  const uint32_t words = sparsesep_dsp_tap_words(channels);
  const size_t width = (size_t)f->shape->input_width;
  int32_t input_y = y * f->conv->vertical.stride - f->shape->pad_top;
  uint32_t* to = f->columns;
  for (uint32_t tap = 0; tap < f->vertical.kernel; ++tap, ++input_y) {
    if (input_y < 0 || input_y >= f->shape->input_height) {
      fill(to, words, f->conv->input_zero_point);
      to += words;
    } else {
      const int8_t* from = input + ((size_t)input_y * width + x) * channels;
      to = widen(from, from + second * channels, channels, to);
    }
  }
}

// Accumulators of all units of a stage for two columns.
static void multiply_columns(const Frame* f, const SparsesepStage* stage,
                             const uint32_t* x) {
  const uint32_t words =
      stage->kernel * sparsesep_dsp_tap_words(stage->channels);
  f->multiply(stage->weights, stage->units, x, words, f->acc);
}

// Places column `x` of the image into the row.
static void place(const Frame* f, uint32_t x, const uint32_t* acc) {
  const uint32_t words = sparsesep_dsp_tap_words(f->vertical.units);
  const uint32_t stride = f->conv->horizontal.stride;
  const uint32_t column = x + (uint32_t)f->shape->pad_left;
  sparsesep_finish_rows(&f->vertical.rows, 0, (f->vertical.units + 3) & ~3u,
                        acc, f->outputs);
  uint32_t* own = f->row + (size_t)column * words;
  spread(f->outputs, f->vertical.units, own,
         column < stride ? own : own - (size_t)stride * words + 1);
}

static void run_vertical(const Frame* f, const int8_t* input, int32_t y) {
  const uint32_t columns = sparsesep_image_columns(f->conv, f->shape);
  for (uint32_t x = 0; x < columns; x += 2) {
    // A last odd column is multiplied twice.
    const uint32_t second = x + 1 < columns;
    load_columns(f, input, y, x, second);
    multiply_columns(f, &f->vertical, f->columns);
    place(f, x, f->acc[0]);
    if (second) place(f, x + 1, f->acc[1]);
  }
}

// Returns the end of what was written.
static int8_t* run_horizontal(const Frame* f, int8_t* output) {
  const SparsesepStage* stage = &f->horizontal;
  const uint32_t columns = (uint32_t)f->shape->output_width;
  const uint32_t step =
      f->conv->horizontal.stride * sparsesep_dsp_tap_words(stage->channels);
  const uint32_t* from = f->row;
  for (uint32_t x = 0; x < columns; x += 2, from += 2 * (size_t)step) {
    multiply_columns(f, stage, from);
    output =
        sparsesep_finish_rows(&stage->rows, 0, stage->units, f->acc[0], output);
    if (x + 1 == columns) return output;
    output =
        sparsesep_finish_rows(&stage->rows, 0, stage->units, f->acc[1], output);
  }
  return output;
}

void sparsesep_run_separable_dsp(const SparsesepSeparableConv* conv,
                                 const SparsesepConvShape* shape,
                                 const void* input, void* output, void* scratch,
                                 SparsesepMultiplyDspPair multiply) {
  const uint32_t units = sparsesep_most_units(conv);
  const uint32_t row_words = sparsesep_row_columns(conv, shape) *
                             sparsesep_dsp_tap_words(conv->middle_channels);
  uint32_t* const acc = scratch;
  uint32_t* const columns = acc + 2 * (size_t)units;
  uint32_t* const row =
      columns +
      conv->vertical.kernel * sparsesep_dsp_tap_words(conv->input_channels);
  const Frame frame = {
      sparsesep_vertical_stage(conv),
      sparsesep_horizontal_stage(conv),
      conv,
      shape,
      {acc, acc + units},
      columns,
      row,
      (int8_t*)(row + row_words),
      multiply,
  };
  const int8_t* from = input;
  int8_t* to = output;
  // Padding stays; every row writes the columns of the image anew.
  fill(row, row_words, conv->middle_zero_point);
  for (int32_t b = 0; b < shape->batch; ++b) {
    for (int32_t y = 0; y < shape->output_height; ++y) {
      run_vertical(&frame, from, y);
      to = run_horizontal(&frame, to);
    }
    from += (size_t)shape->input_height * (size_t)shape->input_width *
            conv->input_channels;
  }
}

#endif
