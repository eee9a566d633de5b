// Blocks that are four columns wide, or several times that, on VNNI.
#ifndef SPARSESEP_SPARSE_FULLY_CONNECTED_VNNI_QUADS_VNNI_H_
#define SPARSESEP_SPARSE_FULLY_CONNECTED_VNNI_QUADS_VNNI_H_

#include "sparse_fully_connected/vnni/vnni.h"

// `rows` * `quads` words of weights, at most four.
SPARSESEP_VNNI_INLINE __m128i sparsesep_weights_vnni(int words,
                                                     const int8_t* value) {
  if (words == 4) return _mm_loadu_si128((const __m128i*)value);
  if (words == 2) return _mm_loadl_epi64((const __m128i*)value);
  return _mm_cvtsi32_si128(sparsesep_word_x86(value));
}

// acc[rows][registers] += four columns times 16 * registers vectors.
SPARSESEP_VNNI_INLINE void sparsesep_multiply_quad_vnni(int rows, int registers,
                                                        const int8_t* value,
                                                        const uint8_t* x,
                                                        __m512i* acc) {
  for (int r = 0; r < rows; ++r) {
    const __m512i w = _mm512_set1_epi32(sparsesep_word_x86(value + 4 * r));
    for (int i = 0; i < registers; ++i) {
      acc[r * registers + i] = _mm512_dpbusd_epi32(
          acc[r * registers + i], _mm512_loadu_si512(x + 64 * i), w);
    }
  }
}

// One group of blocks of `rows` rows and 4 * `quads` columns. Sums of a single
// row would wait for each other in one register: even and odd quads have their
// own.
SPARSESEP_VNNI_INLINE void sparsesep_quad_group_vnni(
    int rows, int quads, int registers, SparsesepRowStreams* streams,
    const SparsesepStrip* strip, uint32_t* sums) {
  const uint8_t* step = streams->index;
  const int8_t* value = streams->value;
  const uint32_t* offset = strip->offset;
  const int8_t* const end =
      value + (size_t)*streams->counts++ * 4 * (size_t)(rows * quads);
  const int together = rows == 1 && quads == 1 ? 2 : 1;
  __m512i acc[2][8];
  __m128i excess = _mm_setzero_si128();
  for (int i = 0; i < rows * registers; ++i) {
    acc[0][i] = acc[1][i] = _mm512_setzero_si512();
  }
  while (value < end) {
    for (int i = 0; i < together && value < end; ++i) {
      offset += *step++ * (uint32_t)quads;
      excess = _mm_dpbusd_epi32(excess, _mm_set1_epi8(-128),
                                sparsesep_weights_vnni(rows * quads, value));
      for (int q = 0; q < quads; ++q, value += 4 * rows) {
        sparsesep_multiply_quad_vnni(
            rows, registers, value, strip->lanes + offset[q], acc[(i + q) % 2]);
      }
    }
  }
  uint32_t excesses[4];
  _mm_storeu_si128((__m128i*)excesses, excess);
  if (quads == 4) excesses[0] += excesses[1] + excesses[2] + excesses[3];
  for (int r = 0; r < rows; ++r) {
    for (int i = r * registers; i < (r + 1) * registers; ++i) {
      acc[0][i] = _mm512_add_epi32(acc[0][i], acc[1][i]);
    }
    sparsesep_store_sums_vnni(acc[0] + r * registers, registers, excesses[r],
                              sums + r * SPARSESEP_STRIP_VECTORS);
  }
  streams->index = step;
  streams->value = value;
}

#endif  // SPARSESEP_SPARSE_FULLY_CONNECTED_VNNI_QUADS_VNNI_H_
