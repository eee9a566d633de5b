// What every int8 kernel knows of one stage of a separable convolution, and the
// sizes that kernels share.
#ifndef SPARSESEP_SEPARABLE_CONV_STAGE_H_
#define SPARSESEP_SEPARABLE_CONV_STAGE_H_

#include "common/rows.h"
#include "sparsesep/separable_conv.h"

typedef struct SparsesepStage {
  SparsesepRows rows;  // from an accumulator to an output
  const void* weights;
  uint32_t units;
  uint32_t kernel;
  uint32_t channels;  // of a tap
} SparsesepStage;

static inline const void* sparsesep_conv_section(
    const SparsesepSeparableConv* conv, uint32_t offset) {
  return (const uint8_t*)conv + offset;
}

static inline SparsesepStage sparsesep_stage(const SparsesepSeparableConv* conv,
                                             const SparsesepConvStage* stage,
                                             uint32_t channels, uint32_t units,
                                             int32_t output_zero_point) {
  const SparsesepStage result = {
      {
          sparsesep_conv_section(conv, stage->bias_offset),
          sparsesep_conv_section(conv, stage->multiplier_offset),
          sparsesep_conv_section(conv, stage->shift_offset),
          output_zero_point,
          stage->activation_min,
          stage->activation_max,
          TFLITE_SINGLE_ROUNDING ? 0 : stage->flags & SPARSESEP_STAGE_BOUNDED,
      },
      sparsesep_conv_section(conv, stage->weights_offset),
      units,
      stage->kernel,
      channels,
  };
  return result;
}

static inline SparsesepStage sparsesep_vertical_stage(
    const SparsesepSeparableConv* conv) {
  return sparsesep_stage(conv, &conv->vertical, conv->input_channels,
                         conv->middle_channels, conv->middle_zero_point);
}

static inline SparsesepStage sparsesep_horizontal_stage(
    const SparsesepSeparableConv* conv) {
  return sparsesep_stage(conv, &conv->horizontal, conv->middle_channels,
                         conv->output_channels, conv->output_zero_point);
}

// Columns of an intermediate row that outputs read, padding included.
// They may extend to the right of the image, or end before its last column.
static inline uint32_t sparsesep_row_columns(const SparsesepSeparableConv* conv,
                                             const SparsesepConvShape* shape) {
  return (uint32_t)(shape->output_width - 1) * conv->horizontal.stride +
         conv->horizontal.kernel;
}

// Those of them that are in the image, from its first on.
static inline uint32_t sparsesep_image_columns(
    const SparsesepSeparableConv* conv, const SparsesepConvShape* shape) {
  const uint32_t visible =
      sparsesep_row_columns(conv, shape) - (uint32_t)shape->pad_left;
  const uint32_t width = (uint32_t)shape->input_width;
  return visible < width ? visible : width;
}

// Units of the wider stage, in whole fours.
static inline uint32_t sparsesep_most_units(
    const SparsesepSeparableConv* conv) {
  const uint32_t most = conv->middle_channels > conv->output_channels
                            ? conv->middle_channels
                            : conv->output_channels;
  return (most + 3) & ~3u;
}

#endif  // SPARSESEP_SEPARABLE_CONV_STAGE_H_
