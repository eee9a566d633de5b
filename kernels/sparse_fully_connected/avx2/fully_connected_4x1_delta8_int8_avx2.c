// 4x1 blocks in pairs, uint8 steps, int8 values: AVX2, two pairs a round, one
// in each half.
//
// a0 a1 b0 b1 a2 a3 b2 b3 becomes a0 b0 a1 b1 a2 b2 a3 b3, times the inputs of
// a and b by turns.
#include "common/isa.h"

#if SPARSESEP_HAS_X86

#include "sparse_fully_connected/avx2/wide_vector.h"
#include "sparse_fully_connected/avx2/x86.h"
#include "sparse_fully_connected/variants.h"

// Inputs a and b, four times over: each is broadcast with a neighbor, of which
// a blend drops one.
SPARSESEP_AVX2
static inline __m128i pair_of_inputs(const int16_t* a, const int16_t* b) {
  return _mm_blend_epi16(_mm_set1_epi32(sparsesep_word_x86(a)),
                         _mm_set1_epi32(sparsesep_word_x86(b - 1)), 0xaa);
}

SPARSESEP_AVX2
static void multiply(SparsesepRowStreams* streams, const int16_t* vector,
                     uint32_t groups, uint32_t* acc) {
  const __m128i by_rows =
      _mm_setr_epi8(0, 2, 1, 3, 4, 6, 5, 7, 8, 10, 9, 11, 12, 14, 13, 15);
  const uint8_t* step = streams->index;
  const int8_t* value = streams->value;
  for (; groups > 0; --groups, acc += 4) {
    const int16_t* x = vector;
    __m256i rows = _mm256_setzero_si256();
    uint32_t n = *streams->counts++;
    for (; n >= 4; n -= 4, step += 4, value += 16) {
      const int16_t* a = x + step[0];
      const int16_t* b = a + step[1];
      const int16_t* c = b + step[2];
      x = c + step[3];
      const __m128i w =
          _mm_shuffle_epi8(_mm_loadu_si128((const __m128i*)value), by_rows);
      rows = sparsesep_multiply_avx2(
          rows, _mm256_cvtepi8_epi16(w),
          _mm256_set_m128i(pair_of_inputs(c, x), pair_of_inputs(a, b)));
    }
    __m128i sums = sparsesep_fold_avx2(rows);
    if (n > 0) {
      const int16_t* a = x + step[0];
      const __m128i w =
          _mm_shuffle_epi8(_mm_loadl_epi64((const __m128i*)value), by_rows);
      sums = _mm_add_epi32(
          sums,
          _mm_madd_epi16(_mm_cvtepi8_epi16(w), pair_of_inputs(a, a + step[1])));
      step += 2;
      value += 8;
    }
    _mm_storeu_si128((__m128i*)acc, sums);
  }
  streams->index = step;
  streams->value = value;
}

SPARSESEP_KERNEL(4x1_delta8_int8, avx2, sparsesep_run_avx2, multiply)

#endif  // SPARSESEP_HAS_X86
