// What the Neon kernels share: products of int8, added up exactly in int32.
#ifndef SPARSESEP_SPARSE_FULLY_CONNECTED_NEON_NEON_H_
#define SPARSESEP_SPARSE_FULLY_CONNECTED_NEON_NEON_H_

#include <arm_neon.h>
#include <string.h>

#include "sparse_fully_connected/row_groups.h"
#include "sparse_fully_connected/variants.h"

// Four inputs, four times over; unaligned.
static inline int8x16_t sparsesep_four_inputs_neon(const int8_t* x) {
  int32_t word;
  memcpy(&word, x, sizeof(word));
  return vreinterpretq_s8_s32(vdupq_n_s32(word));
}

// Four inputs, and four others.
static inline int8x8_t sparsesep_two_words_neon(const int8_t* a,
                                                const int8_t* b) {
  int32_t words[2];
  memcpy(&words[0], a, sizeof(words[0]));
  memcpy(&words[1], b, sizeof(words[1]));
  return vreinterpret_s8_s32(vld1_s32(words));
}

// a a b b a a b b.
static inline int8x8_t sparsesep_pair_of_inputs_neon(int8_t a, int8_t b) {
  const uint32_t word = (uint8_t)a * 0x0101u + (uint8_t)b * 0x01010000u;
  return vreinterpret_s8_u32(vdup_n_u32(word));
}

// acc + products of the lower 8 lanes: neighbors are added, so that lanes 0
// and 1 of acc take the first four products, lanes 2 and 3 the others. Single
// products fit into 16 bits, sums of two do not always.
static inline int32x4_t sparsesep_multiply_low_neon(int32x4_t acc, int8x16_t w,
                                                    int8x16_t x) {
  return vpadalq_s16(acc, vmull_s8(vget_low_s8(w), vget_low_s8(x)));
}

static inline int32x4_t sparsesep_multiply_high_neon(int32x4_t acc, int8x16_t w,
                                                     int8x16_t x) {
  return vpadalq_s16(acc, vmull_high_s8(w, x));
}

#endif  // SPARSESEP_SPARSE_FULLY_CONNECTED_NEON_NEON_H_
