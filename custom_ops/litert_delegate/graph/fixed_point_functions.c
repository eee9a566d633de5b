#include "graph/fixed_point.h"

// exp of a value in [-1/4, 0), both Q0.31: the Taylor series around -1/8.
static int32_t exp_near_zero(int32_t value) {
  const int32_t exp_of_minus_eighth = 1895147668;
  const int32_t third = 715827883;
  const int32_t x = value + (1 << 28);
  const int32_t x2 = sparsesep_high_product(x, x);
  const int32_t x3 = sparsesep_high_product(x2, x);
  const int32_t x4 = sparsesep_high_product(x2, x2);
  const int32_t quarter = sparsesep_rounding_shift(x4, 2);
  const int32_t tail = sparsesep_rounding_shift(
      sparsesep_high_product(quarter + x3, third) + x2, 1);
  return exp_of_minus_eighth +
         sparsesep_high_product(exp_of_minus_eighth, x + tail);
}

int32_t sparsesep_exp_of_negative(int32_t value, int integer_bits) {
  // exp(-2^(i - 2)) in Q0.31
  static const int32_t factors[] = {
      1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242};
  if (value == 0) return INT32_MAX;
  const int fraction_bits = 31 - integer_bits;
  const int32_t quarter = (int32_t)1 << (fraction_bits - 2);
  const int32_t near_zero = (value & (quarter - 1)) - quarter;
  const int32_t rest = near_zero - value;
  int32_t result = exp_near_zero(near_zero * (1 << integer_bits));
  for (int i = 0; i < integer_bits + 2; ++i) {
    if ((rest & (int32_t)1 << (fraction_bits - 2 + i)) != 0) {
      result = sparsesep_high_product(result, factors[i]);
    }
  }
  return result;
}

static int32_t saturating_left_shift(int32_t value, int bits) {
  const int32_t most = ((int32_t)1 << (31 - bits)) - 1;
  if (value > most) return INT32_MAX;
  if (value < -most) return INT32_MIN;
  return value * (1 << bits);
}

int32_t sparsesep_one_over_one_plus(int32_t value) {
  const int32_t half_denominator =
      (int32_t)(((int64_t)value + INT32_MAX + 1) / 2);
  // Newton and Raphson's division in Q2.29, from 48/17 - 32/17 * denominator.
  int32_t x =
      1515870810 + sparsesep_high_product(half_denominator, -1010580540);
  for (int i = 0; i < 3; ++i) {
    const int32_t error =
        ((int32_t)1 << 29) - sparsesep_high_product(half_denominator, x);
    x += saturating_left_shift(sparsesep_high_product(x, error), 2);
  }
  return saturating_left_shift(x, 1);
}
