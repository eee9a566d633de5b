// 2x4 blocks, uint8 steps, int8 values: AVX2, two blocks a round, one in each
// half.
#include "common/isa.h"

#if SPARSESEP_HAS_X86

#include "sparse_fully_connected/avx2/quads_avx2.h"
#include "sparse_fully_connected/variants.h"

// The 4 inputs of a block, for both of its rows.
SPARSESEP_AVX2
static inline __m128i four_inputs(const int16_t* x) {
  return _mm_set1_epi64x(sparsesep_two_words_x86(x));
}

SPARSESEP_AVX2
static void multiply(SparsesepRowStreams* streams, const int16_t* vector,
                     uint32_t groups, uint32_t* acc) {
  const uint8_t* step = streams->index;
  const int8_t* value = streams->value;
  for (; groups > 0; --groups, acc += 2) {
    const int16_t* x = vector;
    __m256i rows = _mm256_setzero_si256();
    uint32_t n = *streams->counts++;
    for (; n >= 2; n -= 2, step += 2, value += 16) {
      const int16_t* first = x + step[0] * 4u;
      x = first + step[1] * 4u;
      rows = sparsesep_multiply_avx2(
          rows, sparsesep_sixteen_weights_avx2(value),
          _mm256_set_m128i(four_inputs(x), four_inputs(first)));
    }
    __m128i sums = sparsesep_fold_avx2(rows);
    if (n > 0) {
      const __m128i w =
          _mm_cvtepi8_epi16(_mm_loadl_epi64((const __m128i*)value));
      sums =
          _mm_add_epi32(sums, _mm_madd_epi16(w, four_inputs(x + *step++ * 4u)));
      value += 8;
    }
    _mm_storel_epi64((__m128i*)acc, _mm_hadd_epi32(sums, sums));
  }
  streams->index = step;
  streams->value = value;
}

SPARSESEP_AVX2
static void multiply_strip(SparsesepRowStreams* streams,
                           const SparsesepStrip* strip, uint32_t groups,
                           uint32_t* acc) {
  sparsesep_multiply_quads_avx2(2, 1, 4, streams, strip, groups, acc);
}

SPARSESEP_KERNEL(2x4_delta8_int8, avx2, sparsesep_run_batch_avx2, multiply,
                 multiply_strip)

#endif  // SPARSESEP_HAS_X86
