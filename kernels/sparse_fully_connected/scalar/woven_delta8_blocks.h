// The plain C kernel of row-major woven blocks with uint8 steps, twin of the
// kernels for the DSP extension.
#ifndef SPARSESEP_SPARSE_FULLY_CONNECTED_SCALAR_WOVEN_DELTA8_BLOCKS_H_
#define SPARSESEP_SPARSE_FULLY_CONNECTED_SCALAR_WOVEN_DELTA8_BLOCKS_H_

#include "sparse_fully_connected/row_groups.h"

// sums[block_rows] += one block times x[4]. Unsigned, so that an accumulator
// which overflows wraps as in TFLite.
static inline void sparsesep_add_woven_block(const int8_t* value,
                                             uint32_t block_rows,
                                             const int32_t* x, uint32_t* sums) {
  for (uint32_t parity = 0; parity < 2; ++parity) {
    for (uint32_t row = 0; row < block_rows; row += 2) {
      for (uint32_t col = parity; col < 4; col += 2, value += 2) {
        const int32_t low = value[0];
        const int32_t high = value[1] + (low < 0);
        sums[row] += (uint32_t)(low * x[col]);
        sums[row + 1] += (uint32_t)(high * x[col]);
      }
    }
  }
}

static inline void sparsesep_multiply_woven_delta8_blocks(
    SparsesepRowStreams* streams, const int8_t* vector, uint32_t groups,
    uint32_t* acc, uint32_t block_rows) {
  const uint8_t* step = streams->index;
  const int8_t* value = streams->value;
  for (; groups > 0; --groups, acc += block_rows) {
    const int8_t* x = vector;
    for (uint32_t row = 0; row < block_rows; ++row) acc[row] = 0;
    for (uint32_t n = *streams->counts++; n > 0; --n) {
      x += *step++ * 4;
      const int32_t inputs[4] = {x[0], x[1], x[2], x[3]};
      sparsesep_add_woven_block(value, block_rows, inputs, acc);
      value += 4 * block_rows;
    }
  }
  streams->index = step;
  streams->value = value;
}

#endif  // SPARSESEP_SPARSE_FULLY_CONNECTED_SCALAR_WOVEN_DELTA8_BLOCKS_H_
