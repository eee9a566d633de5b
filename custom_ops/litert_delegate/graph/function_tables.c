#include <math.h>

#include "graph/fixed_point.h"
#include "graph/quantization.h"
#include "sparsesep/requantize.h"

static int32_t requantize(int32_t value, int32_t multiplier, int32_t shift) {
  return sparsesep_requantize((uint32_t)value, multiplier, shift);
}

// Returns the largest input minus zero point whose scaled value fits into
// `integer_bits`.
static double input_radius(int integer_bits, int32_t left_shift) {
  return floor((double)((1 << integer_bits) - 1) *
               (double)((int64_t)1 << (31 - integer_bits)) /
               ldexp(1.0, left_shift));
}

void sparsesep_softmax_table(double beta, double input_scale,
                             int32_t table[256]) {
  enum { kIntegerBits = 5 };
  int32_t multiplier = 0;
  int32_t shift = 0;
  sparsesep_quantize_multiplier(
      fmin(beta * input_scale * (double)(1 << (31 - kIntegerBits)),
           2147483647.0),
      &multiplier, &shift);
  const double radius = input_radius(kIntegerBits, shift);
  for (int32_t i = 0; i < 256; ++i) {
    table[i] = 0;
    if ((double)i > radius) continue;
    const int32_t difference = (int32_t)(-(int64_t)i * ((int64_t)1 << shift));
    table[i] = sparsesep_exp_of_negative(
        sparsesep_high_product(difference, multiplier), kIntegerBits);
  }
}

// 1 / (1 + exp(-value)) in Q0.31 of a value in Q4.27.
static int32_t logistic(int32_t value) {
  if (value == 0) return (int32_t)1 << 30;
  const int32_t magnitude = value > 0 ? value : -value;
  const int32_t result =
      sparsesep_one_over_one_plus(sparsesep_exp_of_negative(-magnitude, 4));
  return value > 0 ? result : INT32_MAX - result;
}

void sparsesep_logistic_table(TfLiteQuantizationParams input,
                              int8_t table[256]) {
  enum { kIntegerBits = 4, kOutputBits = 8 };
  int32_t multiplier = 0;
  int32_t shift = 0;
  sparsesep_quantize_multiplier(
      (double)input.scale * (double)(1 << (31 - kIntegerBits)), &multiplier,
      &shift);
  const double radius = input_radius(kIntegerBits, shift);
  for (int32_t i = 0; i < 256; ++i) {
    const int32_t centred = i - 128 - input.zero_point;
    int32_t value = (double)centred <= -radius ? -128 : 127;
    if (fabs((double)centred) < radius) {
      value = sparsesep_rounding_shift(
                  logistic(requantize(centred, multiplier, shift)),
                  31 - kOutputBits) -
              128;
    }
    table[i] = sparsesep_clamp_to_int8(value, 0, -128, 127);
  }
}

// Maps inputs of one scale to outputs of another, within limits.
static void rescale_table(TfLiteQuantizationParams input,
                          TfLiteQuantizationParams output, double ratio,
                          SparsesepLimits limits, int8_t table[256]) {
  int32_t multiplier = 0;
  int32_t shift = 0;
  sparsesep_quantize_multiplier(ratio, &multiplier, &shift);
  for (int32_t i = 0; i < 256; ++i) {
    table[i] = sparsesep_clamp_to_int8(
        requantize(i - 128 - input.zero_point, multiplier, shift),
        output.zero_point, limits.min, limits.max);
  }
}

void sparsesep_relu_table(TfLiteQuantizationParams input,
                          TfLiteQuantizationParams output, int8_t table[256]) {
  // RELU divides in float, QUANTIZE in double.
  rescale_table(input, output, (double)(input.scale / output.scale),
                sparsesep_int8_limits(kTfLiteActRelu, output), table);
}

void sparsesep_requantize_table(TfLiteQuantizationParams input,
                                TfLiteQuantizationParams output,
                                int8_t table[256]) {
  rescale_table(input, output, (double)input.scale / (double)output.scale,
                sparsesep_int8_limits(kTfLiteActNone, output), table);
}

void sparsesep_clamp_table(SparsesepLimits limits, int8_t table[256]) {
  for (int32_t i = 0; i < 256; ++i) {
    table[i] = sparsesep_clamp_to_int8(i - 128, 0, limits.min, limits.max);
  }
}
