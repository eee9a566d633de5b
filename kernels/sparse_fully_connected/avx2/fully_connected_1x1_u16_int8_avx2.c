// 1x1 blocks, uint16 columns, int8 values: AVX2, eight blocks a round.
//
// Inputs are inserted one by one: a gather takes longer on most processors.
#include "common/isa.h"

#if SPARSESEP_HAS_X86

#include "sparse_fully_connected/avx2/singles_avx2.h"
#include "sparse_fully_connected/variants.h"

SPARSESEP_AVX2
static inline __m128i multiply_eight(__m128i acc, const uint16_t* column,
                                     const int8_t* value, const int16_t* x) {
  const __m128i inputs =
      _mm_set_epi16(x[column[7]], x[column[6]], x[column[5]], x[column[4]],
                    x[column[3]], x[column[2]], x[column[1]], x[column[0]]);
  const __m128i w = _mm_cvtepi8_epi16(_mm_loadl_epi64((const __m128i*)value));
  return _mm_add_epi32(acc, _mm_madd_epi16(w, inputs));
}

SPARSESEP_AVX2
static void multiply(SparsesepRowStreams* streams, const int16_t* vector,
                     uint32_t groups, uint32_t* acc) {
  const uint16_t* column = streams->index;
  const int8_t* value = streams->value;
  for (; groups > 0; --groups) {
    uint32_t n = *streams->counts++;
    __m128i sums = _mm_setzero_si128();
    for (; n >= 8; n -= 8, column += 8, value += 8) {
      sums = multiply_eight(sums, column, value, vector);
    }
    uint32_t sum = sparsesep_sum_avx2(sums);
    for (; n > 0; --n) sum += (uint32_t)(*value++ * vector[*column++]);
    *acc++ = sum;
  }
  streams->index = column;
  streams->value = value;
}

SPARSESEP_AVX2
static void multiply_strip(SparsesepRowStreams* streams,
                           const SparsesepStrip* strip, uint32_t groups,
                           uint32_t* acc) {
  sparsesep_multiply_singles_avx2(0, streams, strip, groups, acc);
}

SPARSESEP_KERNEL(1x1_u16_int8, avx2, sparsesep_run_batch_avx2, multiply,
                 multiply_strip)

#endif  // SPARSESEP_HAS_X86
