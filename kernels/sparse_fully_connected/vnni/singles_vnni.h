// Blocks that are one column wide on VNNI: a lane's other columns meet zeros.
#ifndef SPARSESEP_SPARSE_FULLY_CONNECTED_VNNI_SINGLES_VNNI_H_
#define SPARSESEP_SPARSE_FULLY_CONNECTED_VNNI_SINGLES_VNNI_H_

#include "sparse_fully_connected/avx2/quads_avx2.h"
#include "sparse_fully_connected/vnni/vnni.h"

// acc[registers] += a column times 16 * registers vectors.
SPARSESEP_VNNI_INLINE void sparsesep_multiply_single_vnni(int registers,
                                                          const int32_t* weight,
                                                          const uint8_t* x,
                                                          __m512i* acc) {
  const __m512i w = _mm512_set1_epi32(*weight);
  for (int i = 0; i < registers; ++i) {
    acc[i] = _mm512_dpbusd_epi32(acc[i], _mm512_loadu_si512(x + 64 * i), w);
  }
}

// A row of 1x1 blocks, four at a time, whose columns are steps of uint8 or
// uint16. Even and odd ones have sums of their own: those of one register would
// wait for each other.
SPARSESEP_VNNI_INLINE void sparsesep_single_group_vnni(
    int is_delta, int registers, SparsesepRowStreams* streams,
    const SparsesepStrip* strip, uint32_t* sums) {
  const uint8_t* step = streams->index;
  const uint16_t* column = streams->index;
  const int8_t* value = streams->value;
  const uint32_t* offset = strip->offset;
  __m512i acc[2][2];
  __m128i excess = _mm_setzero_si128();
  for (int i = 0; i < registers; ++i) {
    acc[0][i] = acc[1][i] = _mm512_setzero_si512();
  }
  for (uint32_t n = *streams->counts++; n > 0; n -= 4, value += 4) {
    const __m128i four = _mm_cvtsi32_si128(sparsesep_word_x86(value));
    SparsesepWords words;
    _mm_storeu_si128((__m128i*)words.word, _mm_cvtepu8_epi32(four));
    SPARSESEP_IN_MEMORY(words);
    excess = _mm_dpbusd_epi32(excess, _mm_set1_epi8(-128), four);
    for (int i = 0; i < 4; ++i) {
      offset = is_delta ? offset + *step++ : strip->offset + *column++;
      sparsesep_multiply_single_vnni(registers, &words.word[i],
                                     strip->lanes + *offset, acc[i % 2]);
    }
  }
  for (int i = 0; i < registers; ++i) {
    acc[0][i] = _mm512_add_epi32(acc[0][i], acc[1][i]);
  }
  sparsesep_store_sums_vnni(acc[0], registers,
                            (uint32_t)_mm_cvtsi128_si32(excess), sums);
  streams->index = is_delta ? (const void*)step : (const void*)column;
  streams->value = value;
}

#endif  // SPARSESEP_SPARSE_FULLY_CONNECTED_VNNI_SINGLES_VNNI_H_
