// 4x4 blocks, uint8 steps, float32 values: AVX2, two blocks a round.
//
// A block: its 4 inputs, in each half, times rows 0 and 1, then 2 and 3.
#include "common/isa.h"

#if SPARSESEP_HAS_X86

#include "sparse_fully_connected/avx2/x86.h"
#include "sparse_fully_connected/float_blocks.h"
#include "sparse_fully_connected/variants.h"

// Rows 0 and 1, and rows 2 and 3, each as four products.
typedef struct Rows {
  __m256 upper;
  __m256 lower;
} Rows;

SPARSESEP_AVX2
static inline Rows multiply_block(Rows rows, const float* value,
                                  const float* x) {
  const __m256 inputs = _mm256_broadcast_ps((const __m128*)x);
  return (Rows){
      _mm256_fmadd_ps(_mm256_loadu_ps(value), inputs, rows.upper),
      _mm256_fmadd_ps(_mm256_loadu_ps(value + 8), inputs, rows.lower)};
}

SPARSESEP_AVX2
static void multiply(SparsesepFloatStreams* streams, uint32_t count,
                     const float* vector, float* sums) {
  const uint8_t* step = streams->step;
  const float* value = streams->value;
  const float* x = vector;
  Rows even = {_mm256_setzero_ps(), _mm256_setzero_ps()};
  Rows odd = even;
  for (; count >= 2; count -= 2, step += 2, value += 32) {
    x += step[0] * 4u;
    even = multiply_block(even, value, x);
    x += step[1] * 4u;
    odd = multiply_block(odd, value + 16, x);
  }
  if (count > 0) {
    even = multiply_block(even, value, x + *step++ * 4u);
    value += 16;
  }
  // Rows 0, 2 in the low half, 1, 3 in the high one.
  const __m256 pairs = _mm256_hadd_ps(_mm256_add_ps(even.upper, odd.upper),
                                      _mm256_add_ps(even.lower, odd.lower));
  const __m256 rows = _mm256_hadd_ps(pairs, pairs);
  _mm_storeu_ps(sums, _mm_unpacklo_ps(_mm256_castps256_ps128(rows),
                                      _mm256_extractf128_ps(rows, 1)));
  streams->step = step;
  streams->value = value;
}

SPARSESEP_KERNEL(4x4_delta8_float32, avx2, sparsesep_run_float_blocks, multiply)

#endif  // SPARSESEP_HAS_X86
