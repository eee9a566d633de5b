// Row-major int8 blocks with uint8 steps, for any block shape: any core.
#include "sparse_fully_connected/row_groups.h"
#include "sparse_fully_connected/variants.h"

static inline void multiply_blocks(SparsesepRowStreams* streams,
                                   const int8_t* vector, uint32_t groups,
                                   uint32_t* acc, uint32_t block_rows,
                                   uint32_t block_cols) {
  const uint8_t* step = streams->index;
  const int8_t* value = streams->value;
  for (; groups > 0; --groups, acc += block_rows) {
    uint32_t sums[4] = {0};
    const int8_t* x = vector;
    for (uint32_t n = *streams->counts++; n > 0; --n) {
      x += *step++ * block_cols;
      for (uint32_t r = 0; r < block_rows; ++r, value += block_cols) {
        for (uint32_t c = 0; c < block_cols; ++c) {
          sums[r] += (uint32_t)(value[c] * x[c]);
        }
      }
    }
    for (uint32_t r = 0; r < block_rows; ++r) acc[r] = sums[r];
  }
  streams->index = step;
  streams->value = value;
}

#define KERNEL(layout, block_rows, block_cols)                             \
  static void multiply_##layout(SparsesepRowStreams* streams,              \
                                const int8_t* vector, uint32_t groups,     \
                                uint32_t* acc) {                           \
    multiply_blocks(streams, vector, groups, acc, block_rows, block_cols); \
  }                                                                        \
  SPARSESEP_KERNEL(layout, scalar, sparsesep_run_row_groups, multiply_##layout)

KERNEL(1x4_delta8_int8, 1, 4)
KERNEL(1x16_delta8_int8, 1, 16)
KERNEL(2x4_delta8_int8, 2, 4)
KERNEL(4x4_delta8_int8, 4, 4)
