// 4x1 blocks in pairs, uint8 steps, int8 values: VNNI.
//
// a0 a1 b0 b1 a2 a3 b2 b3, each in a word of its own.
#include "common/isa.h"

#if SPARSESEP_HAS_X86

#include "sparse_fully_connected/variants.h"
#include "sparse_fully_connected/vnni/singles_vnni.h"

SPARSESEP_VNNI_INLINE void multiply_group(int registers,
                                          SparsesepRowStreams* streams,
                                          const SparsesepStrip* strip,
                                          uint32_t* sums) {
  // Of rows, among the words of the first column of a pair.
  static const int places[4] = {0, 1, 4, 5};
  const uint8_t* step = streams->index;
  const int8_t* value = streams->value;
  const uint32_t* offset = strip->offset;
  __m512i acc[4][2];
  __m256i excess = _mm256_setzero_si256();
  for (int r = 0; r < 4; ++r) acc[r][0] = acc[r][1] = _mm512_setzero_si512();
  for (uint32_t n = *streams->counts++; n > 0; n -= 2, value += 8) {
    const __m256i wide =
        _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i*)value));
    SparsesepWords words;
    _mm256_storeu_si256((__m256i*)words.word, wide);
    SPARSESEP_IN_MEMORY(words);
    excess = _mm256_dpbusd_epi32(excess, _mm256_set1_epi8(-128), wide);
    for (int i = 0; i < 2; ++i) {
      offset += *step++;
      for (int r = 0; r < 4; ++r) {
        sparsesep_multiply_single_vnni(registers,
                                       &words.word[places[r] + 2 * i],
                                       strip->lanes + *offset, acc[r]);
      }
    }
  }
  uint32_t excesses[8];
  _mm256_storeu_si256((__m256i*)excesses, excess);
  for (int r = 0; r < 4; ++r) {
    sparsesep_store_sums_vnni(acc[r], registers,
                              excesses[places[r]] + excesses[places[r] + 2],
                              sums + r * SPARSESEP_STRIP_VECTORS);
  }
  streams->index = step;
  streams->value = value;
}

SPARSESEP_VNNI_STRIP(multiply_group)

SPARSESEP_KERNEL(4x1_delta8_int8, vnni, sparsesep_run_batch_vnni,
                 multiply_strip, SPARSESEP_KERNEL_NAME(4x1_delta8_int8, avx2))

#endif  // SPARSESEP_HAS_X86
