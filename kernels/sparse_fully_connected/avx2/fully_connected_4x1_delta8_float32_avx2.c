// 4x1 blocks, uint8 steps, float32 values: AVX2, two blocks a round.
#include "common/isa.h"

#if SPARSESEP_HAS_X86

#include "sparse_fully_connected/avx2/x86.h"
#include "sparse_fully_connected/float_blocks.h"
#include "sparse_fully_connected/variants.h"

SPARSESEP_AVX2
static inline __m128 multiply_block(__m128 rows, const float* value,
                                    const float* x) {
  return _mm_fmadd_ps(_mm_loadu_ps(value), _mm_broadcast_ss(x), rows);
}

SPARSESEP_AVX2
static void multiply(SparsesepFloatStreams* streams, uint32_t count,
                     const float* vector, float* sums) {
  const uint8_t* step = streams->step;
  const float* value = streams->value;
  const float* x = vector;
  __m128 even = _mm_setzero_ps();
  __m128 odd = _mm_setzero_ps();
  for (; count >= 2; count -= 2, step += 2, value += 8) {
    x += step[0];
    even = multiply_block(even, value, x);
    x += step[1];
    odd = multiply_block(odd, value + 4, x);
  }
  if (count > 0) {
    even = multiply_block(even, value, x + *step++);
    value += 4;
  }
  _mm_storeu_ps(sums, _mm_add_ps(even, odd));
  streams->step = step;
  streams->value = value;
}

SPARSESEP_KERNEL(4x1_delta8_float32, avx2, sparsesep_run_float_blocks, multiply)

#endif  // SPARSESEP_HAS_X86
