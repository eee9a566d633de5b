// From eight accumulators to eight values; see sparsesep_requantize() for what
// is computed.
#ifndef SPARSESEP_SPARSE_FULLY_CONNECTED_AVX2_REQUANTIZE_AVX2_H_
#define SPARSESEP_SPARSE_FULLY_CONNECTED_AVX2_REQUANTIZE_AVX2_H_

#include "common/rows.h"
#include "sparse_fully_connected/avx2/x86.h"
#include "sparsesep/requantize.h"

// Products of 32 bits, even lanes and odd ones apart: 64 bits each.
typedef struct SparsesepProducts {
  __m256i even;
  __m256i odd;
} SparsesepProducts;

SPARSESEP_AVX2
static inline SparsesepProducts sparsesep_products_avx2(__m256i a, __m256i b) {
  return (SparsesepProducts){
      _mm256_mul_epi32(a, b),
      _mm256_mul_epi32(_mm256_srli_epi64(a, 32), _mm256_srli_epi64(b, 32))};
}

// The lower halves of both, in order again.
SPARSESEP_AVX2
static inline __m256i sparsesep_join_avx2(__m256i even, __m256i odd) {
  return _mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0xaa);
}

#if TFLITE_SINGLE_ROUNDING
// (product + 2^(total - 1)) >> total, whose lower half is right: the sign bit
// is turned around, as the shift draws in zeros, and what it has become is
// taken off again.
SPARSESEP_AVX2
static inline __m256i sparsesep_round_shift_avx2(__m256i product,
                                                 __m256i total) {
  const __m256i one = _mm256_set1_epi64x(1);
  const __m256i sign = _mm256_set1_epi64x(INT64_MIN);
  const __m256i half = _mm256_sllv_epi64(one, _mm256_sub_epi64(total, one));
  const __m256i turned =
      _mm256_xor_si256(_mm256_add_epi64(product, half), sign);
  return _mm256_sub_epi64(_mm256_srlv_epi64(turned, total),
                          _mm256_srlv_epi64(sign, total));
}

SPARSESEP_AVX2
static inline __m256i sparsesep_requantize_avx2(__m256i acc, __m256i multiplier,
                                                __m256i shift) {
  const SparsesepProducts product = sparsesep_products_avx2(acc, multiplier);
  const __m256i total = _mm256_sub_epi32(_mm256_set1_epi32(31), shift);
  const __m256i low = _mm256_set1_epi64x(UINT32_MAX);
  return sparsesep_join_avx2(
      sparsesep_round_shift_avx2(product.even, _mm256_and_si256(total, low)),
      sparsesep_round_shift_avx2(product.odd, _mm256_srli_epi64(total, 32)));
}
#else
SPARSESEP_AVX2
static inline __m256i sparsesep_doubling_high_mul_avx2(__m256i a, __m256i b) {
  const SparsesepProducts product = sparsesep_products_avx2(a, b);
  const __m256i half = _mm256_set1_epi64x(1 << 30);
  return sparsesep_join_avx2(
      _mm256_srli_epi64(_mm256_add_epi64(product.even, half), 31),
      _mm256_srli_epi64(_mm256_add_epi64(product.odd, half), 31));
}

SPARSESEP_AVX2
static inline __m256i sparsesep_requantize_avx2(__m256i acc, __m256i multiplier,
                                                __m256i shift) {
  const __m256i zero = _mm256_setzero_si256();
  const __m256i left = _mm256_max_epi32(shift, zero);
  const __m256i right = _mm256_max_epi32(_mm256_sub_epi32(zero, shift), zero);
  const __m256i high = sparsesep_doubling_high_mul_avx2(
      _mm256_sllv_epi32(acc, left), multiplier);
  const __m256i mask = _mm256_sub_epi32(
      _mm256_sllv_epi32(_mm256_set1_epi32(1), right), _mm256_set1_epi32(1));
  const __m256i threshold =
      _mm256_sub_epi32(_mm256_srli_epi32(mask, 1), _mm256_srai_epi32(high, 31));
  const __m256i up =
      _mm256_cmpgt_epi32(_mm256_and_si256(high, mask), threshold);
  return _mm256_sub_epi32(_mm256_srav_epi32(high, right), up);
}
#endif

// What a row that is requantized by a shift to the right has in all lanes.
typedef struct SparsesepRightShift {
  __m256i multiplier;
  __m256i half;
  __m256i right;
} SparsesepRightShift;

#if TFLITE_SINGLE_ROUNDING
// Whether the functions below may stand in for the one above: the shift is to
// the right, and rounded twice, nothing overflows.
static inline int sparsesep_shifts_right(const SparsesepRows* rows,
                                         uint32_t row) {
  return rows->shift[row] < 0;
}

SPARSESEP_AVX2
static inline SparsesepRightShift sparsesep_right_shift_avx2(
    const SparsesepRows* rows, uint32_t row) {
  const int32_t shift = rows->shift[row];
  return (SparsesepRightShift){_mm256_set1_epi32(rows->multiplier[row]),
                               _mm256_set1_epi64x((int64_t)1 << (30 - shift)),
                               _mm256_set1_epi32(-1 - shift)};
}

// Of product and half only the upper halves matter.
SPARSESEP_AVX2
static inline __m256i sparsesep_requantize_right_avx2(
    __m256i acc, const SparsesepRightShift* by) {
  const SparsesepProducts product =
      sparsesep_products_avx2(acc, by->multiplier);
  const __m256i even = _mm256_add_epi64(product.even, by->half);
  const __m256i odd = _mm256_add_epi64(product.odd, by->half);
  const __m256i high =
      _mm256_blend_epi32(_mm256_srli_epi64(even, 32), odd, 0xaa);
  return _mm256_srav_epi32(high, by->right);
}
#else
static inline int sparsesep_shifts_right(const SparsesepRows* rows,
                                         uint32_t row) {
  (void)row;
  return rows->bounded != 0;
}

SPARSESEP_AVX2
static inline SparsesepRightShift sparsesep_right_shift_avx2(
    const SparsesepRows* rows, uint32_t row) {
  const int32_t right = -rows->shift[row];
  return (SparsesepRightShift){_mm256_set1_epi32(rows->multiplier[row]),
                               _mm256_set1_epi32(1 << (right - 1)),
                               _mm256_set1_epi32(right)};
}

// As sparsesep_requantize_bounded(). Bits 31 to 62 of a product become a lane.
SPARSESEP_AVX2
static inline __m256i sparsesep_requantize_right_avx2(
    __m256i acc, const SparsesepRightShift* by) {
  const SparsesepProducts product =
      sparsesep_products_avx2(acc, by->multiplier);
  const __m256i half = _mm256_set1_epi64x(1 << 30);
  const __m256i high = _mm256_blend_epi32(
      _mm256_srli_epi64(_mm256_add_epi64(product.even, half), 31),
      _mm256_slli_epi64(_mm256_add_epi64(product.odd, half), 1), 0xaa);
  const __m256i rounded = _mm256_add_epi32(_mm256_add_epi32(high, by->half),
                                           _mm256_srai_epi32(high, 31));
  return _mm256_srav_epi32(rounded, by->right);
}
#endif

#endif  // SPARSESEP_SPARSE_FULLY_CONNECTED_AVX2_REQUANTIZE_AVX2_H_
