// 1x16 blocks, uint8 steps, float32 values: AVX2, two blocks a round.
#include "common/isa.h"

#if SPARSESEP_HAS_X86

#include "sparse_fully_connected/avx2/x86.h"
#include "sparse_fully_connected/float_blocks.h"
#include "sparse_fully_connected/variants.h"

SPARSESEP_AVX2
static inline __m256 multiply_eight(__m256 acc, const float* value,
                                    const float* x) {
  return _mm256_fmadd_ps(_mm256_loadu_ps(value), _mm256_loadu_ps(x), acc);
}

SPARSESEP_AVX2
static void multiply(SparsesepFloatStreams* streams, uint32_t count,
                     const float* vector, float* sums) {
  const uint8_t* step = streams->step;
  const float* value = streams->value;
  const float* x = vector;
  __m256 acc[4] = {_mm256_setzero_ps(), _mm256_setzero_ps(),
                   _mm256_setzero_ps(), _mm256_setzero_ps()};
  for (; count >= 2; count -= 2, step += 2, value += 32) {
    x += step[0] * 16u;
    acc[0] = multiply_eight(acc[0], value, x);
    acc[1] = multiply_eight(acc[1], value + 8, x + 8);
    x += step[1] * 16u;
    acc[2] = multiply_eight(acc[2], value + 16, x);
    acc[3] = multiply_eight(acc[3], value + 24, x + 8);
  }
  if (count > 0) {
    x += *step++ * 16u;
    acc[0] = multiply_eight(acc[0], value, x);
    acc[1] = multiply_eight(acc[1], value + 8, x + 8);
    value += 16;
  }
  *sums = sparsesep_sum_floats_avx2(_mm256_add_ps(
      _mm256_add_ps(acc[0], acc[1]), _mm256_add_ps(acc[2], acc[3])));
  streams->step = step;
  streams->value = value;
}

SPARSESEP_KERNEL(1x16_delta8_float32, avx2, sparsesep_run_float_blocks,
                 multiply)

#endif  // SPARSESEP_HAS_X86
