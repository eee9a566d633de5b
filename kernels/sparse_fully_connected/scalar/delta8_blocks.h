// The plain C kernel of row-major int8 blocks with uint8 steps, for any block
// shape: each file that includes this names one shape.
#ifndef SPARSESEP_SPARSE_FULLY_CONNECTED_SCALAR_DELTA8_BLOCKS_H_
#define SPARSESEP_SPARSE_FULLY_CONNECTED_SCALAR_DELTA8_BLOCKS_H_

#include "sparse_fully_connected/row_groups.h"

static inline void sparsesep_multiply_delta8_blocks(
    SparsesepRowStreams* streams, const int8_t* vector, uint32_t groups,
    uint32_t* acc, uint32_t block_rows, uint32_t block_cols) {
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

#endif  // SPARSESEP_SPARSE_FULLY_CONNECTED_SCALAR_DELTA8_BLOCKS_H_
