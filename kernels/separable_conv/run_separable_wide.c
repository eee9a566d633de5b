#include <string.h>

#include "separable_conv/wide.h"

// A call's constants.
typedef struct Frame {
  SparsesepStage vertical;
  SparsesepStage horizontal;
  const SparsesepSeparableConv* conv;
  const SparsesepConvShape* shape;
  SparsesepMultiplyFourColumns multiply;
  uint32_t* acc;
  uint32_t units;  // of room for accumulators, each column
  int32_t* x;
  int8_t* row;
} Frame;

// `count` bytes of each of four columns, which are `step` bytes apart; of those
// from `columns` on the last one stands in. Returns the end of what was
// written.
static int32_t* widen(const int8_t* from, size_t step, uint32_t columns,
                      size_t count, int32_t* to) {
  const int8_t* second = from + (columns > 1 ? step : 0);
  const int8_t* third = second + (columns > 2 ? step : 0);
  const int8_t* fourth = third + (columns > 3 ? step : 0);
  for (size_t n = 0; n < count; ++n, to += 4) {
    to[0] = from[n];
    to[1] = second[n];
    to[2] = third[n];
    to[3] = fourth[n];
  }
  return to;
}

static int32_t* fill(int32_t* to, size_t words, int32_t value) {
  while (words-- > 0) *to++ = value;
  return to;
}

// All units of a stage at up to four columns, whose taps are widened. Returns
// the end of what was written.
static int8_t* finish(const Frame* f, const SparsesepStage* stage,
                      uint32_t columns, int8_t* to) {
  const SparsesepWideProduct product = {
      stage->weights, f->x,         stage->kernel * stage->channels,
      f->acc,         4 * f->units, stage->units};
  f->multiply(&product);
  const uint32_t* acc = f->acc;
  for (; columns > 0; --columns, acc += f->units) {
    to = sparsesep_finish_rows(&stage->rows, 0, stage->units, acc, to);
  }
  return to;
}

static uint32_t at_most_four(uint32_t columns) {
  return columns < 4 ? columns : 4;
}

static void run_vertical(const Frame* f, const int8_t* input, int32_t y) {
  const SparsesepStage* stage = &f->vertical;
  const uint32_t channels = stage->channels;
  const size_t line = (size_t)f->shape->input_width * channels;
  const int32_t top = y * f->conv->vertical.stride - f->shape->pad_top;
  int8_t* to = f->row + (size_t)f->shape->pad_left * stage->units;
  uint32_t left = sparsesep_image_columns(f->conv, f->shape);
  while (left > 0) {
    const uint32_t columns = at_most_four(left);
    int32_t* x = f->x;
    for (uint32_t tap = 0; tap < stage->kernel; ++tap) {
      const int32_t input_y = top + (int32_t)tap;
      if (input_y < 0 || input_y >= f->shape->input_height) {
        x = fill(x, 4 * (size_t)channels, f->conv->input_zero_point);
      } else {
        x = widen(input + (size_t)input_y * line, channels, columns, channels,
                  x);
      }
    }
    to = finish(f, stage, columns, to);
    input += 4 * (size_t)channels;
    left -= columns;
  }
}

// Returns the end of what was written.
static int8_t* run_horizontal(const Frame* f, int8_t* to) {
  const SparsesepStage* stage = &f->horizontal;
  const size_t step = (size_t)f->conv->horizontal.stride * stage->channels;
  const int8_t* from = f->row;
  uint32_t left = (uint32_t)f->shape->output_width;
  while (left > 0) {
    const uint32_t columns = at_most_four(left);
    widen(from, step, columns, stage->kernel * (size_t)stage->channels, f->x);
    to = finish(f, stage, columns, to);
    from += 4 * step;
    left -= columns;
  }
  return to;
}

void sparsesep_run_separable_wide(const SparsesepSeparableConv* conv,
                                  const SparsesepConvShape* shape,
                                  const int8_t* input, int8_t* output,
                                  void* scratch,
                                  SparsesepMultiplyFourColumns multiply) {
  const uint32_t units = sparsesep_most_units(conv);
  const size_t down = (size_t)conv->vertical.kernel * conv->input_channels;
  const size_t right = (size_t)conv->horizontal.kernel * conv->middle_channels;
  uint32_t* const acc = scratch;
  int32_t* const x = (int32_t*)(acc + 4 * (size_t)units);
  const Frame frame = {
      sparsesep_vertical_stage(conv),
      sparsesep_horizontal_stage(conv),
      conv,
      shape,
      multiply,
      acc,
      units,
      x,
      (int8_t*)(x + 4 * (down > right ? down : right)),
  };
  const size_t image = (size_t)shape->input_height *
                       (size_t)shape->input_width * conv->input_channels;
  // Padding stays; every row writes the columns of the image anew.
  memset(frame.row, conv->middle_zero_point,
         (size_t)sparsesep_row_columns(conv, shape) * conv->middle_channels);
  for (int32_t b = 0; b < shape->batch; ++b, input += image) {
    for (int32_t y = 0; y < shape->output_height; ++y) {
      run_vertical(&frame, input, y);
      output = run_horizontal(&frame, output);
    }
  }
}
