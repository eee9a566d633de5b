// Blocks that are four columns wide, or several times that, over a strip of
// vectors: what those kernels share.
#ifndef SPARSESEP_SPARSE_FULLY_CONNECTED_AVX2_QUADS_AVX2_H_
#define SPARSESEP_SPARSE_FULLY_CONNECTED_AVX2_QUADS_AVX2_H_

#include "sparse_fully_connected/avx2/run_strips_x86.h"
#include "sparse_fully_connected/avx2/x86.h"

// 4 weights of each row, as int16 in memory, from where pairs are broadcast:
// the ports that load have less to do than those that shuffle.
typedef struct SparsesepWords {
  int32_t word[8];
} SparsesepWords;

// Keeps compilers from replacing the loads by shuffles.
#define SPARSESEP_IN_MEMORY(object) __asm__("" : "+m"(object))
#define SPARSESEP_IN_REGISTER(vector) __asm__("" : "+x"(vector))

SPARSESEP_AVX2
static inline SparsesepWords sparsesep_widen_words_avx2(const int8_t* value,
                                                        int count) {
  SparsesepWords words;
  __m256i wide;
  if (count == 16) {
    wide = sparsesep_sixteen_weights_avx2(value);
  } else if (count == 8) {
    wide = _mm256_castsi128_si256(
        _mm_cvtepi8_epi16(_mm_loadl_epi64((const __m128i*)value)));
  } else {
    wide = _mm256_castsi128_si256(
        _mm_cvtepi8_epi16(_mm_cvtsi32_si128(sparsesep_word_x86(value))));
  }
  _mm256_storeu_si256((__m256i*)words.word, wide);
  SPARSESEP_IN_MEMORY(words);
  return words;
}

// acc[rows][registers] += four columns times 8 * registers vectors. Both counts
// are constants at every call.
SPARSESEP_AVX2_INLINE void sparsesep_multiply_quad_avx2(int rows, int registers,
                                                        const int8_t* value,
                                                        const uint8_t* x,
                                                        uint32_t pitch,
                                                        __m256i* acc) {
  const SparsesepWords words = sparsesep_widen_words_avx2(value, 4 * rows);
  for (int pair = 0; pair < 2; ++pair) {
    __m256i inputs[4];
    for (int i = 0; i < registers; ++i) {
      inputs[i] = _mm256_loadu_si256(
          (const __m256i*)(x + (uint32_t)pair * pitch + 32 * i));
    }
    for (int r = 0; r < rows; ++r) {
      const __m256i w = _mm256_set1_epi32(words.word[2 * r + pair]);
      for (int i = 0; i < registers; ++i) {
        acc[r * registers + i] =
            sparsesep_multiply_avx2(acc[r * registers + i], w, inputs[i]);
        // Compilers would add both pairs first, in more registers than there
        // are.
        SPARSESEP_IN_REGISTER(acc[r * registers + i]);
      }
    }
  }
}

// One group of blocks of `rows` rows and 4 * `quads` columns, for 8 *
// `registers` vectors from `first` on. All three are constants at every call.
SPARSESEP_AVX2_INLINE void sparsesep_quad_group_avx2(
    int rows, int quads, int registers, const SparsesepRowStreams* streams,
    uint32_t count, const SparsesepStrip* strip, uint32_t first,
    uint32_t* sums) {
  const uint8_t* step = streams->index;
  const int8_t* value = streams->value;
  const uint32_t* offset = strip->offset;
  const uint8_t* lanes = strip->lanes + 4 * first;
  __m256i acc[8];
  for (int i = 0; i < rows * registers; ++i) acc[i] = _mm256_setzero_si256();
  for (; count > 0; --count) {
    offset += *step++ * (uint32_t)quads;
    for (int q = 0; q < quads; ++q, value += 4 * rows) {
      sparsesep_multiply_quad_avx2(rows, registers, value, lanes + offset[q],
                                   strip->pitch, acc);
    }
  }
  for (int r = 0; r < rows; ++r) {
    for (int i = 0; i < registers; ++i) {
      uint32_t* to = sums + r * SPARSESEP_STRIP_VECTORS + (int)first + 8 * i;
      _mm256_storeu_si256((__m256i*)to, acc[r * registers + i]);
    }
  }
}

// A SparsesepMultiplyStrip; `registers`, at most 8 / rows, hold the vectors
// that are computed at once where there are so many.
SPARSESEP_AVX2_INLINE void sparsesep_multiply_quads_avx2(
    int rows, int quads, int registers, SparsesepRowStreams* streams,
    const SparsesepStrip* strip, uint32_t groups, uint32_t* acc) {
  for (; groups > 0; --groups, acc += rows * SPARSESEP_STRIP_VECTORS) {
    const uint32_t count = *streams->counts++;
    uint32_t first = 0;
    for (; registers == 4 && first + 32 <= strip->vectors; first += 32) {
      sparsesep_quad_group_avx2(rows, quads, 4, streams, count, strip, first,
                                acc);
    }
    for (; first < strip->vectors; first += 16) {
      sparsesep_quad_group_avx2(rows, quads, 2, streams, count, strip, first,
                                acc);
    }
    streams->index = (const uint8_t*)streams->index + count;
    streams->value = (const int8_t*)streams->value +
                     (size_t)count * 4 * (size_t)(rows * quads);
  }
}

#endif  // SPARSESEP_SPARSE_FULLY_CONNECTED_AVX2_QUADS_AVX2_H_
