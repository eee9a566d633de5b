// What the kernels for x86 share.
#ifndef SPARSESEP_SPARSE_FULLY_CONNECTED_AVX2_X86_H_
#define SPARSESEP_SPARSE_FULLY_CONNECTED_AVX2_X86_H_

#include "common/isa.h"

#if SPARSESEP_HAS_X86

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

// The ISA of one function: the build itself is for any x86-64. runs_here_x86.c
// asks for the same.
#define SPARSESEP_AVX2 __attribute__((target("avx2,fma")))

// For functions whose numbers of rows, columns and registers are constants at
// every call.
#define SPARSESEP_AVX2_INLINE \
  SPARSESEP_AVX2 __attribute__((always_inline)) static inline

static inline int32_t sparsesep_word_x86(const void* bytes) {
  int32_t word;
  memcpy(&word, bytes, sizeof(word));
  return word;
}

static inline int64_t sparsesep_two_words_x86(const void* bytes) {
  int64_t words;
  memcpy(&words, bytes, sizeof(words));
  return words;
}

// 16 weights as int16.
SPARSESEP_AVX2
static inline __m256i sparsesep_sixteen_weights_avx2(const int8_t* value) {
  return _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i*)value));
}

// acc + products, neighbors added.
SPARSESEP_AVX2
static inline __m256i sparsesep_multiply_avx2(__m256i acc, __m256i w,
                                              __m256i x) {
  return _mm256_add_epi32(acc, _mm256_madd_epi16(w, x));
}

// The sum of both halves.
SPARSESEP_AVX2
static inline __m128i sparsesep_fold_avx2(__m256i acc) {
  return _mm_add_epi32(_mm256_castsi256_si128(acc),
                       _mm256_extracti128_si256(acc, 1));
}

// The sum of all lanes.
SPARSESEP_AVX2
static inline uint32_t sparsesep_sum_avx2(__m128i acc) {
  acc = _mm_add_epi32(acc, _mm_shuffle_epi32(acc, 0x4e));
  acc = _mm_add_epi32(acc, _mm_shuffle_epi32(acc, 0xb1));
  return (uint32_t)_mm_cvtsi128_si32(acc);
}

SPARSESEP_AVX2
static inline float sparsesep_sum_floats_avx2(__m256 acc) {
  const __m128 four =
      _mm_add_ps(_mm256_castps256_ps128(acc), _mm256_extractf128_ps(acc, 1));
  const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

#endif

#endif  // SPARSESEP_SPARSE_FULLY_CONNECTED_AVX2_X86_H_
