#include <string.h>

#include "separable_conv/frame.h"
#include "sparsesep/compiler.h"

// A call's constants and its place in the image.
typedef struct Frame {
  SparsesepStage vertical;
  SparsesepStage horizontal;
  const SparsesepSeparableConv* conv;
  const SparsesepConvShape* shape;
  const SparsesepColumnOps* ops;
  uint32_t* acc[2];
  int8_t* column[2];
  int8_t* row;
} Frame;

SPARSESEP_COLD
uint64_t sparsesep_separable_scratch_bytes(const SparsesepSeparableConv* conv,
                                           const SparsesepConvShape* shape) {
  const uint64_t accumulators = 8 * (uint64_t)sparsesep_most_units(conv);
  const uint64_t columns =
      2 * (uint64_t)conv->vertical.kernel * conv->input_channels;
  const uint64_t row =
      (uint64_t)sparsesep_row_columns(conv, shape) * conv->middle_channels;
  return accumulators + columns + row;
}

// The taps of column `x` for row `y` of the intermediate feature map.
static void load_column(const Frame* f, const int8_t* input, int32_t y,
                        uint32_t x, int8_t* to) {
  const uint32_t channels = f->vertical.channels;
  const int32_t width = f->shape->input_width;
  int32_t input_y = y * f->conv->vertical.stride - f->shape->pad_top;
  for (uint32_t tap = 0; tap < f->vertical.kernel; ++tap, ++input_y) {
    if (input_y < 0 || input_y >= f->shape->input_height) {
      memset(to, f->conv->input_zero_point, channels);
    } else {
      f->ops->copy(to, input + ((size_t)input_y * (size_t)width + x) * channels,
                   channels);
    }
    to += channels;
  }
}

static void run_vertical(const Frame* f, const int8_t* input, int32_t y) {
  const SparsesepStage* stage = &f->vertical;
  const uint32_t columns = sparsesep_image_columns(f->conv, f->shape);
  int8_t* to = f->row + (size_t)f->shape->pad_left * stage->units;
  for (uint32_t x = 0; x < columns; x += 2) {
    const uint32_t second = x + 1 < columns;
    const int8_t* const taps[2] = {f->column[0], f->column[second]};
    load_column(f, input, y, x, f->column[0]);
    if (second) load_column(f, input, y, x + 1, f->column[1]);
    f->ops->multiply(stage, taps, f->acc);
    to = f->ops->finish(&stage->rows, 0, stage->units, f->acc[0], to);
    if (!second) return;
    to = f->ops->finish(&stage->rows, 0, stage->units, f->acc[1], to);
  }
}

// Returns the end of what was written.
static int8_t* run_horizontal(const Frame* f, int8_t* output) {
  const SparsesepStage* stage = &f->horizontal;
  const uint32_t columns = (uint32_t)f->shape->output_width;
  const uint32_t step = f->conv->horizontal.stride * stage->channels;
  const int8_t* from = f->row;
  for (uint32_t x = 0; x < columns; x += 2, from += 2 * step) {
    const uint32_t second = x + 1 < columns;
    const int8_t* const taps[2] = {from, from + second * step};
    f->ops->multiply(stage, taps, f->acc);
    output = f->ops->finish(&stage->rows, 0, stage->units, f->acc[0], output);
    if (!second) return output;
    output = f->ops->finish(&stage->rows, 0, stage->units, f->acc[1], output);
  }
  return output;
}

void sparsesep_run_separable(const SparsesepSeparableConv* conv,
                             const SparsesepConvShape* shape,
                             const int8_t* input, int8_t* output, void* scratch,
                             const SparsesepColumnOps* ops) {
  const uint32_t units = sparsesep_most_units(conv);
  const uint32_t taps = conv->vertical.kernel * (uint32_t)conv->input_channels;
  uint32_t* const acc = scratch;
  int8_t* const columns = (int8_t*)(acc + 2 * (size_t)units);
  const Frame frame = {
      sparsesep_vertical_stage(conv),
      sparsesep_horizontal_stage(conv),
      conv,
      shape,
      ops,
      {acc, acc + units},
      {columns, columns + taps},
      columns + 2 * (size_t)taps,
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
