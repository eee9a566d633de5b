#include <float.h>
#include <math.h>

#include "graph/quantization.h"

void sparsesep_quantize_multiplier(double real, int32_t* multiplier,
                                   int32_t* shift) {
  int exponent = 0;
  const double fraction = frexp(real, &exponent);
  int64_t rounded = (int64_t)round(fraction * 2147483648.0);
  if (rounded == 2147483648) {
    rounded /= 2;
    ++exponent;
  }
  const bool vanishes = real == 0 || exponent < -31;
  *multiplier = vanishes ? 0 : (int32_t)rounded;
  *shift = vanishes ? 0 : exponent;
}

bool sparsesep_is_multiplier(double real) {
  int32_t multiplier;
  int32_t shift;
  if (!isfinite(real) || real < 0.0) return false;
  sparsesep_quantize_multiplier(real, &multiplier, &shift);
  return shift <= 30;
}

void sparsesep_layer_multipliers(const TfLiteTensor* input,
                                 const TfLiteTensor* weights,
                                 const TfLiteTensor* output, int32_t units,
                                 int32_t* multiplier, int32_t* shift) {
  const TfLiteAffineQuantizationStruct* affine = weights->quantization.params;
  const TfLiteFloatArray* scales = affine->scale;
  const double output_scale = (double)output->params.scale;
  for (int32_t i = 0; i < units; ++i) {
    const float scale = scales->data[scales->size > 1 ? i : 0];
    const double product = (double)input->params.scale * (double)scale;
    sparsesep_quantize_multiplier(product / output_scale, &multiplier[i],
                                  &shift[i]);
  }
}

// Returns `real` in steps of the output, saturated to int8.
static int32_t quantized(float real, TfLiteQuantizationParams output) {
  const float steps = roundf(real / output.scale) + (float)output.zero_point;
  return steps < -128.0f ? -128 : steps > 127.0f ? 127 : (int32_t)steps;
}

SparsesepLimits sparsesep_int8_limits(TfLiteFusedActivation activation,
                                      TfLiteQuantizationParams output) {
  SparsesepLimits limits = {-128, 127};
  if (activation == kTfLiteActRelu || activation == kTfLiteActRelu6) {
    limits.min = quantized(0.0f, output);
  }
  if (activation == kTfLiteActRelu6) limits.max = quantized(6.0f, output);
  if (activation == kTfLiteActReluN1To1) {
    limits.min = quantized(-1.0f, output);
    limits.max = quantized(1.0f, output);
  }
  return limits;
}

SparsesepFloatLimits sparsesep_float_limits(TfLiteFusedActivation activation) {
  SparsesepFloatLimits limits = {-FLT_MAX, FLT_MAX};
  if (activation == kTfLiteActRelu || activation == kTfLiteActRelu6) {
    limits.min = 0.0f;
  }
  if (activation == kTfLiteActRelu6) limits.max = 6.0f;
  if (activation == kTfLiteActReluN1To1) {
    limits.min = -1.0f;
    limits.max = 1.0f;
  }
  return limits;
}
