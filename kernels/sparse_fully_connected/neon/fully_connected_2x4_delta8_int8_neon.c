// 2x4 blocks, uint8 steps, int8 values: Neon, a block at a time.
#include "common/isa.h"

#if SPARSESEP_HAS_NEON

#include "sparse_fully_connected/neon/lanes_neon.h"

static void multiply(SparsesepRowStreams* streams, const int8_t* vector,
                     uint32_t groups, uint32_t* acc) {
  const uint8_t* step = streams->index;
  const int8_t* value = streams->value;
  for (; groups > 0; --groups, acc += 2) {
    const int8_t* x = vector;
    int32x4_t rows = vdupq_n_s32(0);
    for (uint32_t n = *streams->counts++; n > 0; --n, value += 8) {
      x += *step++ * 4u;
      const int8x16_t inputs = sparsesep_four_inputs_neon(x);
      rows = vpadalq_s16(rows, vmull_s8(vld1_s8(value), vget_low_s8(inputs)));
    }
    const int32x2_t sums = vpadd_s32(vget_low_s32(rows), vget_high_s32(rows));
    vst1_u32(acc, vreinterpret_u32_s32(sums));
  }
  streams->index = step;
  streams->value = value;
}

static void multiply_strip(SparsesepRowStreams* streams, const int16_t* lanes,
                           uint32_t groups, uint32_t* acc) {
  sparsesep_multiply_blocks_neon(2, 4, 1, streams, lanes, groups, acc);
}

SPARSESEP_KERNEL(2x4_delta8_int8, neon, sparsesep_run_batch_neon,
                 multiply_strip, multiply)

#endif  // SPARSESEP_HAS_NEON
