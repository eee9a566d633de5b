// 1x4 blocks, uint8 steps, int8 values: AVX2, four blocks a round.
#include "common/isa.h"

#if SPARSESEP_HAS_X86

#include "sparse_fully_connected/avx2/quads_avx2.h"
#include "sparse_fully_connected/variants.h"

// The inputs of a block, and of the one after it.
SPARSESEP_AVX2
static inline __m128i two_blocks(const int16_t* first, const int16_t* second) {
  return _mm_set_epi64x(sparsesep_two_words_x86(second),
                        sparsesep_two_words_x86(first));
}

SPARSESEP_AVX2
static void multiply(SparsesepRowStreams* streams, const int16_t* vector,
                     uint32_t groups, uint32_t* acc) {
  const uint8_t* step = streams->index;
  const int8_t* value = streams->value;
  for (; groups > 0; --groups) {
    const int16_t* x = vector;
    __m256i products = _mm256_setzero_si256();
    uint32_t n = *streams->counts++;
    for (; n >= 4; n -= 4, step += 4, value += 16) {
      const int16_t* a = x + step[0] * 4u;
      const int16_t* b = a + step[1] * 4u;
      const int16_t* c = b + step[2] * 4u;
      x = c + step[3] * 4u;
      products = sparsesep_multiply_avx2(
          products, sparsesep_sixteen_weights_avx2(value),
          _mm256_set_m128i(two_blocks(c, x), two_blocks(a, b)));
    }
    __m128i sums = sparsesep_fold_avx2(products);
    for (; n > 0; --n, value += 4) {
      x += *step++ * 4u;
      const __m128i w =
          _mm_cvtepi8_epi16(_mm_cvtsi32_si128(sparsesep_word_x86(value)));
      sums = _mm_add_epi32(
          sums, _mm_madd_epi16(w, _mm_loadl_epi64((const __m128i*)x)));
    }
    *acc++ = sparsesep_sum_avx2(sums);
  }
  streams->index = step;
  streams->value = value;
}

SPARSESEP_AVX2
static void multiply_strip(SparsesepRowStreams* streams,
                           const SparsesepStrip* strip, uint32_t groups,
                           uint32_t* acc) {
  sparsesep_multiply_quads_avx2(1, 1, 4, streams, strip, groups, acc);
}

SPARSESEP_KERNEL(1x4_delta8_int8, avx2, sparsesep_run_batch_avx2, multiply,
                 multiply_strip)

#endif  // SPARSESEP_HAS_X86
