// Requantizes the vectors of a row side by side, and turns sixteen rows of
// bytes into sixteen neighboring outputs of each vector.
#include "common/isa.h"

#if SPARSESEP_HAS_X86

#include "sparse_fully_connected/avx2/requantize_avx2.h"
#include "sparse_fully_connected/avx2/run_strips_x86.h"

// Eight accumulators with bias.
SPARSESEP_AVX2
static inline __m256i eight_sums(const uint32_t* acc, __m256i bias) {
  return _mm256_add_epi32(_mm256_loadu_si256((const __m256i*)acc), bias);
}

// Values of 8 * `registers` vectors, as 16 bits in the order that packing
// leaves. `registers` is a constant at every call.
SPARSESEP_AVX2_INLINE void requantize_row(const SparsesepRows* rows,
                                          uint32_t row, const uint32_t* acc,
                                          uint32_t registers, __m256i* words) {
  const __m256i bias = _mm256_set1_epi32(rows->bias[row]);
  const __m256i zero_point = _mm256_set1_epi32(rows->output_zero_point);
  __m256i value[4];
  if (sparsesep_shifts_right(rows, row)) {
    const SparsesepRightShift by = sparsesep_right_shift_avx2(rows, row);
    for (uint32_t i = 0; i < registers; ++i) {
      value[i] =
          sparsesep_requantize_right_avx2(eight_sums(acc + 8 * i, bias), &by);
    }
    // Values have fewer than 31 bits: saturated first, they are beyond int8
    // after the zero point, too.
    for (uint32_t i = 0; i < registers; i += 2) {
      words[i / 2] =
          _mm256_adds_epi16(_mm256_packs_epi32(value[i], value[i + 1]),
                            _mm256_packs_epi32(zero_point, zero_point));
    }
    return;
  }
  const __m256i multiplier = _mm256_set1_epi32(rows->multiplier[row]);
  const __m256i shift = _mm256_set1_epi32(rows->shift[row]);
  for (uint32_t i = 0; i < registers; ++i) {
    const __m256i sums = eight_sums(acc + 8 * i, bias);
    value[i] = _mm256_add_epi32(
        sparsesep_requantize_avx2(sums, multiplier, shift), zero_point);
  }
  for (uint32_t i = 0; i < registers; i += 2) {
    words[i / 2] = _mm256_packs_epi32(value[i], value[i + 1]);
  }
}

// 32 outputs of a row. Past `vectors`, rounded up to 16, they mean nothing.
SPARSESEP_AVX2
static inline __m256i finish_row(const SparsesepRows* rows, uint32_t row,
                                 const uint32_t* acc, uint32_t vectors) {
  const __m256i in_order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
  __m256i words[2];
  if (vectors > 16) {
    requantize_row(rows, row, acc, 4, words);
  } else {
    requantize_row(rows, row, acc, 2, words);
    words[1] = words[0];
  }
  const __m256i bytes = _mm256_packs_epi16(words[0], words[1]);
  // Limits are int8: packing has not passed them.
  const __m256i low = _mm256_set1_epi8((char)rows->activation_min);
  const __m256i high = _mm256_set1_epi8((char)rows->activation_max);
  const __m256i limited = _mm256_min_epi8(_mm256_max_epi8(bytes, low), high);
  return _mm256_permutevar8x32_epi32(limited, in_order);
}

// Turns a square of bytes in each half: afterwards register v holds the rows of
// vectors v and v + 16.
SPARSESEP_AVX2
static inline void turn_sixteen(__m256i* row) {
  // Four rounds of a perfect shuffle of registers i and i + 8.
  for (int round = 0; round < 4; ++round) {
    __m256i next[16];
    for (int i = 0; i < 8; ++i) {
      next[2 * i] = _mm256_unpacklo_epi8(row[i], row[i + 8]);
      next[2 * i + 1] = _mm256_unpackhi_epi8(row[i], row[i + 8]);
    }
    for (int i = 0; i < 16; ++i) row[i] = next[i];
  }
}

SPARSESEP_AVX2
static inline void store(int8_t* out, __m128i outputs, uint32_t count) {
  if (count == 16) {
    _mm_storeu_si128((__m128i*)out, outputs);
    return;
  }
  int8_t all[16];
  _mm_storeu_si128((__m128i*)all, outputs);
  memcpy(out, all, count);
}

SPARSESEP_AVX2
void sparsesep_finish_strip_avx2(const SparsesepRows* rows, uint32_t first,
                                 uint32_t count, const uint32_t* acc,
                                 uint32_t vectors, int8_t* out,
                                 uint32_t row_count) {
  __m256i row[SPARSESEP_ROW_PORTION];
  for (uint32_t r = 0; r < SPARSESEP_ROW_PORTION; ++r) {
    row[r] = r < count ? finish_row(rows, first + r,
                                    acc + r * SPARSESEP_STRIP_VECTORS, vectors)
                       : _mm256_setzero_si256();
  }
  turn_sixteen(row);
  for (uint32_t v = 0; v < vectors && v < 16; ++v) {
    store(out + (size_t)v * row_count, _mm256_castsi256_si128(row[v]), count);
  }
  for (uint32_t v = 16; v < vectors; ++v) {
    store(out + (size_t)v * row_count, _mm256_extracti128_si256(row[v - 16], 1),
          count);
  }
}

#endif  // SPARSESEP_HAS_X86
