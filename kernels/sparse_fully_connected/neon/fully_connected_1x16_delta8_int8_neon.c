// 1x16 blocks, uint8 steps, int8 values: Neon, a block at a time.
#include "common/isa.h"

#if SPARSESEP_HAS_NEON

#include "sparse_fully_connected/neon/lanes_neon.h"

static void multiply(SparsesepRowStreams* streams, const int8_t* vector,
                     uint32_t groups, uint32_t* acc) {
  const uint8_t* step = streams->index;
  const int8_t* value = streams->value;
  for (; groups > 0; --groups) {
    const int8_t* x = vector;
    int32x4_t sums = vdupq_n_s32(0);
    for (uint32_t n = *streams->counts++; n > 0; --n, value += 16) {
      x += *step++ * 16u;
      const int8x16_t inputs = vld1q_s8(x);
      const int8x16_t w = vld1q_s8(value);
      sums = sparsesep_multiply_low_neon(sums, w, inputs);
      sums = sparsesep_multiply_high_neon(sums, w, inputs);
    }
    *acc++ = (uint32_t)vaddvq_s32(sums);
  }
  streams->index = step;
  streams->value = value;
}

static void multiply_strip(SparsesepRowStreams* streams, const int16_t* lanes,
                           uint32_t groups, uint32_t* acc) {
  sparsesep_multiply_blocks_neon(1, 16, 1, streams, lanes, groups, acc);
}

SPARSESEP_KERNEL(1x16_delta8_int8, neon, sparsesep_run_batch_neon,
                 multiply_strip, multiply)

#endif  // SPARSESEP_HAS_NEON
