// From an int32 accumulator to an int8 output, as TFLite's reference does it.
#ifndef SPARSESEP_REQUANTIZE_H_
#define SPARSESEP_REQUANTIZE_H_

#include <stdint.h>

// round(acc * 2^shift * multiplier / 2^31), in gemmlowp's two roundings: the
// doubling high product rounds halves up, the right shift rounds halves away
// from zero. `multiplier` is Q0.31 and not negative; `shift` is -31..30,
// positive to the left. The left shift wraps, as on every target of TFLite.
static inline int32_t sparsesep_requantize(uint32_t acc, int32_t multiplier,
                                           int32_t shift) {
  const int32_t left = shift > 0 ? shift : 0;
  const int32_t right = shift > 0 ? 0 : -shift;
  const int64_t product = (int64_t)(int32_t)(acc << left) * multiplier;
  const int32_t high = (int32_t)((product + ((int64_t)1 << 30)) >> 31);
  const int32_t mask = (int32_t)(((uint32_t)1 << right) - 1);
  const int32_t threshold = (mask >> 1) + (high < 0 ? 1 : 0);
  return (high >> right) + ((high & mask) > threshold ? 1 : 0);
}

static inline int8_t sparsesep_requantize_to_int8(
    uint32_t acc, int32_t multiplier, int32_t shift, int32_t output_zero_point,
    int32_t activation_min, int32_t activation_max) {
  // The sum may pass INT32_MAX where the scale is absurd: let it wrap.
  int32_t value =
      (int32_t)((uint32_t)sparsesep_requantize(acc, multiplier, shift) +
                (uint32_t)output_zero_point);
  if (value < activation_min) value = activation_min;
  if (value > activation_max) value = activation_max;
  return (int8_t)value;
}

#endif  // SPARSESEP_REQUANTIZE_H_
