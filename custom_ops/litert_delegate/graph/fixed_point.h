// Fixed-point functions of TFLM's int8 SOFTMAX and LOGISTIC. A value in Qm.n
// has m integer and n fractional bits besides its sign.
#ifndef SPARSESEP_DELEGATE_GRAPH_FIXED_POINT_H_
#define SPARSESEP_DELEGATE_GRAPH_FIXED_POINT_H_

#include <stdint.h>

// round(a * b / 2^31), halves up; not both INT32_MIN.
static inline int32_t sparsesep_high_product(int32_t a, int32_t b) {
  return (int32_t)(((int64_t)a * b + ((int64_t)1 << 30)) >> 31);
}

// round(value / 2^exponent), halves away from zero; exponent 0..31.
static inline int32_t sparsesep_rounding_shift(int32_t value,
                                               int32_t exponent) {
  const int32_t mask = (int32_t)(((uint32_t)1 << exponent) - 1);
  const int32_t threshold = (mask >> 1) + (value < 0 ? 1 : 0);
  return (value >> exponent) + ((value & mask) > threshold ? 1 : 0);
}

// exp(value) in Q0.31 of a value <= 0 with `integer_bits`, 4 or 5.
int32_t sparsesep_exp_of_negative(int32_t value, int integer_bits);

// 1 / (1 + value) in Q0.31 of a value in Q0.31, 0 <= value.
int32_t sparsesep_one_over_one_plus(int32_t value);

#endif  // SPARSESEP_DELEGATE_GRAPH_FIXED_POINT_H_
