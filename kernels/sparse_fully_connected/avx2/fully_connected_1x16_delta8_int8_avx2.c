// 1x16 blocks, uint8 steps, int8 values: AVX2, two blocks a round.
#include "common/isa.h"

#if SPARSESEP_HAS_X86

#include "sparse_fully_connected/avx2/quads_avx2.h"
#include "sparse_fully_connected/variants.h"

SPARSESEP_AVX2
static inline __m256i multiply_block(__m256i acc, const int8_t* value,
                                     const int16_t* x) {
  return sparsesep_multiply_avx2(acc, sparsesep_sixteen_weights_avx2(value),
                                 _mm256_loadu_si256((const __m256i*)x));
}

SPARSESEP_AVX2
static void multiply(SparsesepRowStreams* streams, const int16_t* vector,
                     uint32_t groups, uint32_t* acc) {
  const uint8_t* step = streams->index;
  const int8_t* value = streams->value;
  for (; groups > 0; --groups) {
    const int16_t* x = vector;
    __m256i even = _mm256_setzero_si256();
    __m256i odd = _mm256_setzero_si256();
    uint32_t n = *streams->counts++;
    for (; n >= 2; n -= 2, step += 2, value += 32) {
      x += step[0] * 16u;
      even = multiply_block(even, value, x);
      x += step[1] * 16u;
      odd = multiply_block(odd, value + 16, x);
    }
    if (n > 0) {
      even = multiply_block(even, value, x + *step++ * 16u);
      value += 16;
    }
    *acc++ =
        sparsesep_sum_avx2(sparsesep_fold_avx2(_mm256_add_epi32(even, odd)));
  }
  streams->index = step;
  streams->value = value;
}

SPARSESEP_AVX2
static void multiply_strip(SparsesepRowStreams* streams,
                           const SparsesepStrip* strip, uint32_t groups,
                           uint32_t* acc) {
  sparsesep_multiply_quads_avx2(1, 4, 4, streams, strip, groups, acc);
}

SPARSESEP_KERNEL(1x16_delta8_int8, avx2, sparsesep_run_batch_avx2, multiply,
                 multiply_strip)

#endif  // SPARSESEP_HAS_X86
