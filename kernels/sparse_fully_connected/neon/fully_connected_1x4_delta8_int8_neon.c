// 1x4 blocks, uint8 steps, int8 values: Neon, two blocks at a time.
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
    uint32_t n = *streams->counts++;
    for (; n >= 2; n -= 2, step += 2, value += 8) {
      const int8_t* second = x + (step[0] + step[1]) * 4u;
      const int8x8_t inputs =
          sparsesep_two_words_neon(x + step[0] * 4u, second);
      sums = vpadalq_s16(sums, vmull_s8(vld1_s8(value), inputs));
      x = second;
    }
    uint32_t sum = (uint32_t)vaddvq_s32(sums);
    if (n > 0) {
      x += *step++ * 4u;
      for (uint32_t c = 0; c < 4; ++c) sum += (uint32_t)(*value++ * x[c]);
    }
    *acc++ = sum;
  }
  streams->index = step;
  streams->value = value;
}

static void multiply_strip(SparsesepRowStreams* streams, const int16_t* lanes,
                           uint32_t groups, uint32_t* acc) {
  sparsesep_multiply_blocks_neon(1, 4, 1, streams, lanes, groups, acc);
}

SPARSESEP_KERNEL(1x4_delta8_int8, neon, sparsesep_run_batch_neon,
                 multiply_strip, multiply)

#endif  // SPARSESEP_HAS_NEON
