// Requantizes eight rows at a time.
#include "common/isa.h"

#if SPARSESEP_HAS_X86

#include "sparse_fully_connected/avx2/requantize_avx2.h"
#include "sparse_fully_connected/avx2/wide_vector.h"

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
    __m256i value =
        sparsesep_requantize_avx2(sum, load(rows->multiplier + first), shift);
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
