// Blocks that are one column wide over a strip of vectors: what those kernels
// share.
#ifndef SPARSESEP_SPARSE_FULLY_CONNECTED_AVX2_SINGLES_AVX2_H_
#define SPARSESEP_SPARSE_FULLY_CONNECTED_AVX2_SINGLES_AVX2_H_

#include "sparse_fully_connected/avx2/quads_avx2.h"

// acc[registers] += a column times 8 * registers vectors; `weight` has zeros in
// its upper half. `registers` is a constant at every call.
SPARSESEP_AVX2_INLINE void sparsesep_multiply_single_avx2(int registers,
                                                          const int32_t* weight,
                                                          const uint8_t* x,
                                                          __m256i* acc) {
  const __m256i w = _mm256_set1_epi32(*weight);
  for (int i = 0; i < registers; ++i) {
    acc[i] = sparsesep_multiply_avx2(
        acc[i], w, _mm256_loadu_si256((const __m256i*)(x + 32 * i)));
  }
}

// A row of 1x1 blocks, four at a time, whose columns are steps of uint8 or
// uint16.
SPARSESEP_AVX2_INLINE void sparsesep_single_group_avx2(
    int is_delta, int registers, const SparsesepRowStreams* streams,
    uint32_t count, const SparsesepStrip* strip, uint32_t* sums) {
  const uint8_t* step = streams->index;
  const uint16_t* column = streams->index;
  const int8_t* value = streams->value;
  const uint32_t* offset = strip->offset;
  __m256i acc[4];
  for (int i = 0; i < registers; ++i) acc[i] = _mm256_setzero_si256();
  for (; count > 0; count -= 4, value += 4) {
    const __m128i wide =
        _mm_cvtepi8_epi16(_mm_cvtsi32_si128(sparsesep_word_x86(value)));
    SparsesepWords words;
    _mm_storeu_si128((__m128i*)words.word, _mm_cvtepu16_epi32(wide));
    SPARSESEP_IN_MEMORY(words);
    for (int i = 0; i < 4; ++i) {
      offset = is_delta ? offset + *step++ : strip->offset + *column++;
      sparsesep_multiply_single_avx2(registers, &words.word[i],
                                     strip->lanes + *offset, acc);
    }
  }
  for (int i = 0; i < registers; ++i) {
    _mm256_storeu_si256((__m256i*)(sums + 8 * (uint32_t)i), acc[i]);
  }
}

// A SparsesepMultiplyStrip.
SPARSESEP_AVX2_INLINE void sparsesep_multiply_singles_avx2(
    int is_delta, SparsesepRowStreams* streams, const SparsesepStrip* strip,
    uint32_t groups, uint32_t* acc) {
  for (; groups > 0; --groups, acc += SPARSESEP_STRIP_VECTORS) {
    const uint32_t count = *streams->counts++;
    if (strip->vectors > 16) {
      sparsesep_single_group_avx2(is_delta, 4, streams, count, strip, acc);
    } else {
      sparsesep_single_group_avx2(is_delta, 2, streams, count, strip, acc);
    }
    const uint32_t bytes = is_delta ? count : 2 * count;
    streams->index = (const uint8_t*)streams->index + bytes;
    streams->value = (const int8_t*)streams->value + count;
  }
}

#endif  // SPARSESEP_SPARSE_FULLY_CONNECTED_AVX2_SINGLES_AVX2_H_
