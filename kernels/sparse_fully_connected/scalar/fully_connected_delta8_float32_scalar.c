// Row-major float32 blocks with uint8 steps, for any block shape: any core.
#include "sparse_fully_connected/float_blocks.h"
#include "sparse_fully_connected/variants.h"

static inline void multiply_blocks(SparsesepFloatStreams* streams,
                                   uint32_t count, const float* vector,
                                   float* sums, uint32_t block_rows,
                                   uint32_t block_cols) {
  const uint8_t* step = streams->step;
  const float* value = streams->value;
  const float* x = vector;
  float acc[4] = {0};
  for (; count > 0; --count) {
    x += *step++ * block_cols;
    for (uint32_t r = 0; r < block_rows; ++r, value += block_cols) {
      for (uint32_t c = 0; c < block_cols; ++c) acc[r] += value[c] * x[c];
    }
  }
  for (uint32_t r = 0; r < block_rows; ++r) sums[r] = acc[r];
  streams->step = step;
  streams->value = value;
}

#define KERNEL(layout, block_rows, block_cols)                             \
  static void multiply_##layout(SparsesepFloatStreams* streams,            \
                                uint32_t count, const float* vector,       \
                                float* sums) {                             \
    multiply_blocks(streams, count, vector, sums, block_rows, block_cols); \
  }                                                                        \
  SPARSESEP_KERNEL(layout, scalar, sparsesep_run_float_blocks,             \
                   multiply_##layout)

KERNEL(1x4_delta8_float32, 1, 4)
KERNEL(4x1_delta8_float32, 4, 1)
KERNEL(4x4_delta8_float32, 4, 4)
KERNEL(1x16_delta8_float32, 1, 16)
