// 4x4 blocks, uint8 steps, int8 values: Neon, a block at a time.
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
    for (uint32_t n = *streams->counts++; n > 0; --n, value += 16) {
      x += *step++ * 4u;
      const int8x16_t inputs = sparsesep_four_inputs_neon(x);
      const int8x16_t w = vld1q_s8(value);
      rows01 = sparsesep_multiply_low_neon(rows01, w, inputs);
      rows23 = sparsesep_multiply_high_neon(rows23, w, inputs);
    }
    vst1q_u32(acc, vreinterpretq_u32_s32(vpaddq_s32(rows01, rows23)));
  }
  streams->index = step;
  streams->value = value;
}

static void multiply_strip(SparsesepRowStreams* streams, const int16_t* lanes,
                           uint32_t groups, uint32_t* acc) {
  sparsesep_multiply_blocks_neon(4, 4, 1, streams, lanes, groups, acc);
}

SPARSESEP_KERNEL(4x4_delta8_int8, neon, sparsesep_run_batch_neon,
                 multiply_strip, multiply)

#endif  // SPARSESEP_HAS_NEON
