// 4x1 blocks in pairs, uint8 steps, int8 values: Neon, a pair at a time.
//
// a0 a1 b0 b1 a2 a3 b2 b3 times a a b b a a b b: rows stand in lanes 0, 1, 4
// and 5 of the products, and again two lanes on.
#include "common/isa.h"

#if SPARSESEP_HAS_NEON

#include "sparse_fully_connected/neon/lanes_neon.h"

static void multiply(SparsesepRowStreams* streams, const int8_t* vector,
                     uint32_t groups, uint32_t* acc) {
  const uint8_t* step = streams->index;
  const int8_t* value = streams->value;
  for (; groups > 0; --groups, acc += 4) {
    const int8_t* x = vector;
    int32x4_t rows01 = vdupq_n_s32(0);
    int32x4_t rows23 = vdupq_n_s32(0);
    for (uint32_t n = *streams->counts++; n > 0;
         n -= 2, step += 2, value += 8) {
      const int8_t* second = x + step[0] + step[1];
      const int8x8_t inputs =
          sparsesep_pair_of_inputs_neon(x[step[0]], *second);
      const int16x8_t products = vmull_s8(vld1_s8(value), inputs);
      rows01 = vaddw_s16(rows01, vget_low_s16(products));
      rows23 = vaddw_high_s16(rows23, products);
      x = second;
    }
    const int32x4_t low =
        vcombine_s32(vget_low_s32(rows01), vget_low_s32(rows23));
    const int32x4_t high =
        vcombine_s32(vget_high_s32(rows01), vget_high_s32(rows23));
    vst1q_u32(acc, vreinterpretq_u32_s32(vaddq_s32(low, high)));
  }
  streams->index = step;
  streams->value = value;
}

static void multiply_strip(SparsesepRowStreams* streams, const int16_t* lanes,
                           uint32_t groups, uint32_t* acc) {
  // Of rows, among the weights of the first column of a pair.
  static const int places[4] = {0, 1, 4, 5};
  const size_t width = SPARSESEP_STRIP_VECTORS_NEON;
  const uint8_t* step = streams->index;
  const int8_t* value = streams->value;
  for (; groups > 0; --groups, acc += 4 * width) {
    const int16_t* x = lanes;
    int32x4_t sums[4][4];
    sparsesep_clear_lanes_neon(4, sums);
    for (uint32_t n = *streams->counts++; n > 0; n -= 2, value += 8) {
      for (int i = 0; i < 2; ++i) {
        x += *step++ * width;
        for (int r = 0; r < 4; ++r) {
          sparsesep_multiply_lanes_neon(value[places[r] + 2 * i], x, sums[r]);
        }
      }
    }
    sparsesep_store_lanes_neon(4, sums, acc);
  }
  streams->index = step;
  streams->value = value;
}

SPARSESEP_KERNEL(4x1_delta8_int8, neon, sparsesep_run_batch_neon,
                 multiply_strip, multiply)

#endif  // SPARSESEP_HAS_NEON
