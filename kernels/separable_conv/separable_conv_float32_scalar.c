// float32, natural order, portable.
//
// The vertical stage reads the input in place and leaves out taps that lie in
// the padding, the horizontal one reads one row in scratch, whose padding is 0.
#include <string.h>

#include "common/float_limits.h"
#include "separable_conv/float_row.h"
#include "separable_conv/variants.h"

typedef struct FloatStage {
  const float* bias;
  const float* weights;
  float low;
  float high;
  uint32_t kernel;
  uint32_t channels;
  uint32_t units;
} FloatStage;

static FloatStage float_stage(const SparsesepSeparableConv* conv,
                              const SparsesepConvStage* stage,
                              uint32_t channels, uint32_t units) {
  const FloatStage result = {
      sparsesep_conv_section(conv, stage->bias_offset),
      sparsesep_conv_section(conv, stage->weights_offset),
      sparsesep_float_from_bits(stage->activation_min),
      sparsesep_float_from_bits(stage->activation_max),
      stage->kernel,
      channels,
      units,
  };
  return result;
}

// All units of a stage at one place: taps `first` to `end`, of which the first
// one's channels are at `x`, the others `step` floats further on each.
static float* multiply(const FloatStage* stage, const float* x, size_t step,
                       uint32_t first, uint32_t end, float* to) {
  const float* weights = stage->weights;
  const uint32_t channels = stage->channels;
  for (uint32_t unit = 0; unit < stage->units; ++unit) {
    float sum = stage->bias[unit];
    for (uint32_t tap = first; tap < end; ++tap) {
      const float* from = x + (tap - first) * step;
      const float* w = weights + (size_t)tap * channels;
      for (uint32_t n = 0; n < channels; ++n) sum += w[n] * from[n];
    }
    *to++ = sparsesep_clamp_float(sum, stage->low, stage->high);
    weights += (size_t)stage->kernel * channels;
  }
  return to;
}

static void run_vertical(const SparsesepSeparableConv* conv,
                         const SparsesepConvShape* shape, const float* input,
                         int32_t y, float* row) {
  const FloatStage stage = float_stage(
      conv, &conv->vertical, conv->input_channels, conv->middle_channels);
  const int32_t top = y * conv->vertical.stride - shape->pad_top;
  const int32_t below = shape->input_height - top;
  const uint32_t first = top < 0 ? (uint32_t)-top : 0;
  const uint32_t end =
      below < (int32_t)stage.kernel ? (uint32_t)below : stage.kernel;
  const size_t step = (size_t)shape->input_width * stage.channels;
  const float* x = input + (size_t)(top + (int32_t)first) * step;
  const uint32_t columns = sparsesep_image_columns(conv, shape);
  float* to = row + (size_t)shape->pad_left * stage.units;
  for (uint32_t column = 0; column < columns; ++column) {
    to = multiply(&stage, x, step, first, end, to);
    x += stage.channels;
  }
}

void sparsesep_separable_conv_float32_scalar(const SparsesepSeparableConv* conv,
                                             const SparsesepConvShape* shape,
                                             const void* input, void* output,
                                             void* scratch) {
  const FloatStage stage = float_stage(
      conv, &conv->horizontal, conv->middle_channels, conv->output_channels);
  const float* from = input;
  float* to = output;
  float* const row = scratch;
  memset(row, 0, (size_t)sparsesep_separable_float_scratch_bytes(conv, shape));
  for (int32_t b = 0; b < shape->batch; ++b) {
    for (int32_t y = 0; y < shape->output_height; ++y) {
      run_vertical(conv, shape, from, y, row);
      const float* x = row;
      for (int32_t column = 0; column < shape->output_width; ++column) {
        to = multiply(&stage, x, stage.channels, 0, stage.kernel, to);
        x += (size_t)conv->horizontal.stride * stage.channels;
      }
    }
    from += (size_t)shape->input_height * (size_t)shape->input_width *
            conv->input_channels;
  }
}
