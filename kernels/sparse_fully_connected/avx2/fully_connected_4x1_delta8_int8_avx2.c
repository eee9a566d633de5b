// 4x1 blocks in pairs, uint8 steps, int8 values: AVX2, two pairs a round, one
// in each half.
//
// a0 a1 b0 b1 a2 a3 b2 b3 becomes a0 b0 a1 b1 a2 b2 a3 b3, times the inputs of
// a and b by turns.
#include "common/isa.h"

#if SPARSESEP_HAS_X86

#include "sparse_fully_connected/avx2/singles_avx2.h"
#include "sparse_fully_connected/variants.h"

// Inputs a and b, four times over: each is broadcast with a neighbor, of which
// a blend drops one.
SPARSESEP_AVX2
static inline __m128i pair_of_inputs(const int16_t* a, const int16_t* b) {
  return _mm_blend_epi16(_mm_set1_epi32(sparsesep_word_x86(a)),
                         _mm_set1_epi32(sparsesep_word_x86(b - 1)), 0xaa);
}

SPARSESEP_AVX2
static void multiply(SparsesepRowStreams* streams, const int16_t* vector,
                     uint32_t groups, uint32_t* acc) {
  const __m128i by_rows =
      _mm_setr_epi8(0, 2, 1, 3, 4, 6, 5, 7, 8, 10, 9, 11, 12, 14, 13, 15);
  const uint8_t* step = streams->index;
  const int8_t* value = streams->value;
  for (; groups > 0; --groups, acc += 4) {
    const int16_t* x = vector;
    __m256i rows = _mm256_setzero_si256();
    uint32_t n = *streams->counts++;
    for (; n >= 4; n -= 4, step += 4, value += 16) {
      const int16_t* a = x + step[0];
      const int16_t* b = a + step[1];
      const int16_t* c = b + step[2];
      x = c + step[3];
      const __m128i w =
          _mm_shuffle_epi8(_mm_loadu_si128((const __m128i*)value), by_rows);
      rows = sparsesep_multiply_avx2(
          rows, _mm256_cvtepi8_epi16(w),
          _mm256_set_m128i(pair_of_inputs(c, x), pair_of_inputs(a, b)));
    }
    __m128i sums = sparsesep_fold_avx2(rows);
    if (n > 0) {
      const int16_t* a = x + step[0];
      const __m128i w =
          _mm_shuffle_epi8(_mm_loadl_epi64((const __m128i*)value), by_rows);
      sums = _mm_add_epi32(
          sums,
          _mm_madd_epi16(_mm_cvtepi8_epi16(w), pair_of_inputs(a, a + step[1])));
      step += 2;
      value += 8;
    }
    _mm_storeu_si128((__m128i*)acc, sums);
  }
  streams->index = step;
  streams->value = value;
}

// A group for 16 vectors from `first` on.
SPARSESEP_AVX2
static void multiply_group(const SparsesepRowStreams* streams, uint32_t count,
                           const SparsesepStrip* strip, uint32_t first,
                           uint32_t* sums) {
  // Of rows, among the words of the first column of a pair.
  static const int places[4] = {0, 1, 4, 5};
  const uint8_t* step = streams->index;
  const int8_t* value = streams->value;
  const uint32_t* offset = strip->offset;
  const uint8_t* lanes = strip->lanes + 4 * first;
  __m256i acc[4][2];
  for (int r = 0; r < 4; ++r) acc[r][0] = acc[r][1] = _mm256_setzero_si256();
  for (; count > 0; count -= 2, value += 8) {
    const __m128i wide =
        _mm_cvtepi8_epi16(_mm_loadl_epi64((const __m128i*)value));
    SparsesepWords words;
    _mm256_storeu_si256((__m256i*)words.word, _mm256_cvtepu16_epi32(wide));
    SPARSESEP_IN_MEMORY(words);
    for (int i = 0; i < 2; ++i) {
      offset += *step++;
      for (int r = 0; r < 4; ++r) {
        sparsesep_multiply_single_avx2(2, &words.word[places[r] + 2 * i],
                                       lanes + *offset, acc[r]);
        SPARSESEP_IN_REGISTER(acc[r][0]);
        SPARSESEP_IN_REGISTER(acc[r][1]);
      }
    }
  }
  for (uint32_t r = 0; r < 4; ++r) {
    uint32_t* to = sums + r * SPARSESEP_STRIP_VECTORS + first;
    _mm256_storeu_si256((__m256i*)to, acc[r][0]);
    _mm256_storeu_si256((__m256i*)(to + 8), acc[r][1]);
  }
}

static void multiply_strip(SparsesepRowStreams* streams,
                           const SparsesepStrip* strip, uint32_t groups,
                           uint32_t* acc) {
  for (; groups > 0; --groups, acc += 4 * SPARSESEP_STRIP_VECTORS) {
    const uint32_t count = *streams->counts++;
    for (uint32_t first = 0; first < strip->vectors; first += 16) {
      multiply_group(streams, count, strip, first, acc);
    }
    streams->index = (const uint8_t*)streams->index + count;
    streams->value = (const int8_t*)streams->value + 4 * (size_t)count;
  }
}

SPARSESEP_KERNEL(4x1_delta8_int8, avx2, sparsesep_run_batch_avx2, multiply,
                 multiply_strip)

#endif  // SPARSESEP_HAS_X86
