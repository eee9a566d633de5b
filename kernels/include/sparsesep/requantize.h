// From an int32 accumulator to an int8 output, as TFLite's reference does it.
//
// There are two references. TFLM and CMSIS-NN round twice (gemmlowp's way);
// LiteRT rounds once. The macro that TensorFlow itself uses for the choice,
// TFLITE_SINGLE_ROUNDING, selects the second one here, too.
#ifndef SPARSESEP_REQUANTIZE_H_
#define SPARSESEP_REQUANTIZE_H_

#include <stdint.h>

#include "sparsesep/packed_weights.h"

#ifndef TFLITE_SINGLE_ROUNDING
#define TFLITE_SINGLE_ROUNDING 0
#endif

// Returns whether sparsesep_requantize_bounded() may stand in for
// sparsesep_requantize() on all rows of a blob.
static inline uint32_t sparsesep_is_bounded(const SparsesepPackedHeader* h) {
  return TFLITE_SINGLE_ROUNDING ? 0 : h->flags & SPARSESEP_FLAG_BOUNDED;
}

// round(a * b / 2^31), halves up; b >= 0. gemmlowp's
// SaturatingRoundingDoublingHighMul, which cannot saturate for such b.
static inline int32_t sparsesep_doubling_high_mul(int32_t a, int32_t b) {
#if defined(__ARM_ARCH_6M__) || defined(__ARM_ARCH_8M_BASE__)
  // Armv6-M and M23 multiply 32 x 32 -> 32 only: four 16-bit products, carries
  // kept apart. Dropping the low 16 bits first changes nothing: of nested
  // floors floor((floor(a * b / 2^16) + 2^14) / 2^15) the inner one has no
  // effect.
  const int32_t a_high = a >> 16;
  const uint32_t a_low = (uint32_t)a & 0xffff;
  const int32_t b_high = b >> 16;
  const uint32_t b_low = (uint32_t)b & 0xffff;
  // a * b / 2^16 = high * 2^16 + middle + low, each exact
  const uint32_t low = (a_low * b_low) >> 16;
  const int32_t cross = a_high * (int32_t)b_low;
  const uint32_t cross_low = a_low * (uint32_t)b_high;
  const uint32_t sum =
      ((uint32_t)cross & 0xffff) + (cross_low & 0xffff) + low + (1u << 14);
  const int32_t high = a_high * b_high + (cross >> 16) +
                       (int32_t)(cross_low >> 16) + (int32_t)(sum >> 16);
  return (int32_t)(((uint32_t)high << 1) | ((sum >> 15) & 1));
#else
  return (int32_t)(((int64_t)a * b + ((int64_t)1 << 30)) >> 31);
#endif
}

// acc * 2^shift * multiplier / 2^31. `multiplier` is Q0.31 and not negative;
// `shift` is -31..30, positive to the left. Rounded once: halves up. Rounded
// twice: the doubling high product halves up, the right shift halves away from
// zero. The left shift wraps, as on every target of TFLite.
static inline int32_t sparsesep_requantize(uint32_t acc, int32_t multiplier,
                                           int32_t shift) {
#if TFLITE_SINGLE_ROUNDING
  const int32_t total = 31 - shift;
  const int64_t half = (int64_t)1 << (total - 1);
  return (int32_t)(((int64_t)(int32_t)acc * multiplier + half) >> total);
#else
  const int32_t left = shift > 0 ? shift : 0;
  const int32_t right = shift > 0 ? 0 : -shift;
  const int32_t high =
      sparsesep_doubling_high_mul((int32_t)(acc << left), multiplier);
  const int32_t mask = (int32_t)(((uint32_t)1 << right) - 1);
  const int32_t threshold = (mask >> 1) + (high < 0 ? 1 : 0);
  return (high >> right) + ((high & mask) > threshold ? 1 : 0);
#endif
}

// The same, rounded twice, where sparsesep_is_bounded(): shift < 0 and
// |acc| < 2^30.
// high + half cannot overflow, since |high| < 2^30 and half <= 2^30.
static inline int32_t sparsesep_requantize_bounded(uint32_t acc,
                                                   int32_t multiplier,
                                                   int32_t shift) {
  const int32_t high = sparsesep_doubling_high_mul((int32_t)acc, multiplier);
  const uint32_t half = (uint32_t)1 << (-shift - 1);
  const uint32_t rounded = (uint32_t)high + (uint32_t)(high >> 31) + half;
  return (int32_t)rounded >> -shift;
}

static inline int8_t sparsesep_clamp_to_int8(int32_t value,
                                             int32_t output_zero_point,
                                             int32_t activation_min,
                                             int32_t activation_max) {
  // The sum may pass INT32_MAX where the scale is absurd: let it wrap.
  value = (int32_t)((uint32_t)value + (uint32_t)output_zero_point);
  if (value < activation_min) value = activation_min;
  if (value > activation_max) value = activation_max;
  return (int8_t)value;
}

#endif  // SPARSESEP_REQUANTIZE_H_
