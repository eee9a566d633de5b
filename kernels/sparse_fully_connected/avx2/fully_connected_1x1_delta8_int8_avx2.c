// 1x1 blocks, uint8 steps, int8 values: AVX2, eight blocks a round.
//
// Inputs are inserted one by one: a gather takes longer on most processors.
#include "common/isa.h"

#if SPARSESEP_HAS_X86

#include "sparse_fully_connected/avx2/singles_avx2.h"
#include "sparse_fully_connected/variants.h"

SPARSESEP_AVX2
static void multiply(SparsesepRowStreams* streams, const int16_t* vector,
                     uint32_t groups, uint32_t* acc) {
  const uint8_t* step = streams->index;
  const int8_t* value = streams->value;
  for (; groups > 0; --groups) {
    const int16_t* x = vector;
    uint32_t n = *streams->counts++;
    __m128i sums = _mm_setzero_si128();
    for (; n >= 8; n -= 8, step += 8, value += 8) {
      const int16_t* a = x + step[0];
      const int16_t* b = a + step[1];
      const int16_t* c = b + step[2];
      const int16_t* d = c + step[3];
      const int16_t* e = d + step[4];
      const int16_t* f = e + step[5];
      const int16_t* g = f + step[6];
      x = g + step[7];
      const __m128i inputs = _mm_setr_epi16(*a, *b, *c, *d, *e, *f, *g, *x);
      const __m128i w =
          _mm_cvtepi8_epi16(_mm_loadl_epi64((const __m128i*)value));
      sums = _mm_add_epi32(sums, _mm_madd_epi16(w, inputs));
    }
    uint32_t sum = sparsesep_sum_avx2(sums);
    for (; n > 0; --n) {
      x += *step++;
      sum += (uint32_t)(*value++ * *x);
    }
    *acc++ = sum;
  }
  streams->index = step;
  streams->value = value;
}

SPARSESEP_AVX2
static void multiply_strip(SparsesepRowStreams* streams,
                           const SparsesepStrip* strip, uint32_t groups,
                           uint32_t* acc) {
  sparsesep_multiply_singles_avx2(1, streams, strip, groups, acc);
}

SPARSESEP_KERNEL(1x1_delta8_int8, avx2, sparsesep_run_batch_avx2, multiply,
                 multiply_strip)

#endif  // SPARSESEP_HAS_X86
