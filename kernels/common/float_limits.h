// Activation limits of float layers.
#ifndef SPARSESEP_COMMON_FLOAT_LIMITS_H_
#define SPARSESEP_COMMON_FLOAT_LIMITS_H_

#include <stdint.h>
#include <string.h>

// SparsesepFullyConnectedParams holds the bits of these floats.
static inline float sparsesep_float_from_bits(int32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof(value));
  return value;
}

// NaN stays NaN.
static inline float sparsesep_clamp_float(float value, float low, float high) {
  value = value < low ? low : value;
  return value > high ? high : value;
}

#endif  // SPARSESEP_COMMON_FLOAT_LIMITS_H_
