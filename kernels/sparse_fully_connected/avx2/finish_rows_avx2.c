// Requantizes eight rows at a time; see sparsesep_requantize() for what is
// computed.
#include "common/isa.h"

#if SPARSESEP_HAS_X86

#include "sparse_fully_connected/avx2/wide_vector.h"
#include "sparse_fully_connected/avx2/x86.h"

// Products of 32 bits, even lanes and odd ones apart: 64 bits each.
typedef struct Products {
  __m256i even;
  __m256i odd;
} Products;

SPARSESEP_AVX2
static inline Products multiply(__m256i a, __m256i b) {
  return (Products){
      _mm256_mul_epi32(a, b),
      _mm256_mul_epi32(_mm256_srli_epi64(a, 32), _mm256_srli_epi64(b, 32))};
}

// The lower halves of both, in order again.
SPARSESEP_AVX2
static inline __m256i join(__m256i even, __m256i odd) {
  return _mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0xaa);
}

#if TFLITE_SINGLE_ROUNDING
// (product + 2^(total - 1)) >> total, whose lower half is right: the sign bit
// is turned around, as the shift draws in zeros, and what it has become is
// taken off again.
SPARSESEP_AVX2
static inline __m256i round_shift(__m256i product, __m256i total) {
  const __m256i one = _mm256_set1_epi64x(1);
  const __m256i sign = _mm256_set1_epi64x(INT64_MIN);
  const __m256i half = _mm256_sllv_epi64(one, _mm256_sub_epi64(total, one));
  const __m256i turned =
      _mm256_xor_si256(_mm256_add_epi64(product, half), sign);
  return _mm256_sub_epi64(_mm256_srlv_epi64(turned, total),
                          _mm256_srlv_epi64(sign, total));
}

SPARSESEP_AVX2
static inline __m256i requantize(__m256i acc, __m256i multiplier,
                                 __m256i shift) {
  const Products product = multiply(acc, multiplier);
  const __m256i total = _mm256_sub_epi32(_mm256_set1_epi32(31), shift);
  const __m256i low = _mm256_set1_epi64x(UINT32_MAX);
  return join(round_shift(product.even, _mm256_and_si256(total, low)),
              round_shift(product.odd, _mm256_srli_epi64(total, 32)));
}
#else
SPARSESEP_AVX2
static inline __m256i doubling_high_mul(__m256i a, __m256i b) {
  const Products product = multiply(a, b);
  const __m256i half = _mm256_set1_epi64x(1 << 30);
  return join(_mm256_srli_epi64(_mm256_add_epi64(product.even, half), 31),
              _mm256_srli_epi64(_mm256_add_epi64(product.odd, half), 31));
}

SPARSESEP_AVX2
static inline __m256i requantize(__m256i acc, __m256i multiplier,
                                 __m256i shift) {
  const __m256i zero = _mm256_setzero_si256();
  const __m256i left = _mm256_max_epi32(shift, zero);
  const __m256i right = _mm256_max_epi32(_mm256_sub_epi32(zero, shift), zero);
  const __m256i high =
      doubling_high_mul(_mm256_sllv_epi32(acc, left), multiplier);
  const __m256i mask = _mm256_sub_epi32(
      _mm256_sllv_epi32(_mm256_set1_epi32(1), right), _mm256_set1_epi32(1));
  const __m256i threshold =
      _mm256_sub_epi32(_mm256_srli_epi32(mask, 1), _mm256_srai_epi32(high, 31));
  const __m256i up =
      _mm256_cmpgt_epi32(_mm256_and_si256(high, mask), threshold);
  return _mm256_sub_epi32(_mm256_srav_epi32(high, right), up);
}
#endif

SPARSESEP_AVX2
static inline __m256i load(const void* words) {
  return _mm256_loadu_si256((const __m256i*)words);
}

SPARSESEP_AVX2
int8_t* sparsesep_finish_rows_avx2(const SparsesepRows* rows, uint32_t first,
                                   uint32_t count, const uint32_t* acc,
                                   int8_t* out) {
  const __m256i low = _mm256_set1_epi32(rows->activation_min);
  const __m256i high = _mm256_set1_epi32(rows->activation_max);
  const __m256i zero_point = _mm256_set1_epi32(rows->output_zero_point);
  for (; count >= 8; count -= 8, first += 8, acc += 8, out += 8) {
    const __m256i sum = _mm256_add_epi32(load(acc), load(rows->bias + first));
    const __m256i shift = _mm256_cvtepi8_epi32(
        _mm_loadl_epi64((const __m128i*)(rows->shift + first)));
    __m256i value = requantize(sum, load(rows->multiplier + first), shift);
    value = _mm256_add_epi32(value, zero_point);
    value = _mm256_min_epi32(_mm256_max_epi32(value, low), high);
    const __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(value),
                                          _mm256_extracti128_si256(value, 1));
    _mm_storel_epi64((__m128i*)out, _mm_packs_epi16(words, words));
  }
  return count == 0
             ? out
             : sparsesep_finish_rows_general(rows, first, count, acc, out);
}

#endif  // SPARSESEP_HAS_X86
