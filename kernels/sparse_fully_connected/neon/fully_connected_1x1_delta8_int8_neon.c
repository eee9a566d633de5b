// 1x1 blocks, uint8 steps, int8 values: Neon, 16 vectors of a batch at a
// time. A single vector has no use for it.
#include "common/isa.h"

#if SPARSESEP_HAS_NEON

#include "sparse_fully_connected/neon/lanes_neon.h"

static void multiply(SparsesepRowStreams* streams, const int8_t* vector,
                     uint32_t groups, uint32_t* acc) {
  const uint8_t* step = streams->index;
  const int8_t* value = streams->value;
  for (; groups > 0; --groups) {
    const int8_t* x = vector;
    uint32_t sum = 0;
    for (uint32_t n = *streams->counts++; n > 0; --n) {
      x += *step++;
      sum += (uint32_t)(*value++ * *x);
    }
    *acc++ = sum;
  }
  streams->index = step;
  streams->value = value;
}

static void multiply_strip(SparsesepRowStreams* streams, const int16_t* lanes,
                           uint32_t groups, uint32_t* acc) {
  sparsesep_multiply_blocks_neon(1, 1, 1, streams, lanes, groups, acc);
}

SPARSESEP_KERNEL(1x1_delta8_int8, neon, sparsesep_run_batch_neon,
                 multiply_strip, multiply)

#endif  // SPARSESEP_HAS_NEON
