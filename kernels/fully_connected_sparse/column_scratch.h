// Scratch of column-major kernels.
#ifndef SPARSESEP_FULLY_CONNECTED_COLUMN_SCRATCH_H_
#define SPARSESEP_FULLY_CONNECTED_COLUMN_SCRATCH_H_

#include "sparsesep/packed_weights.h"

// Scratch query: an int32 accumulator for each row, rows rounded up to whole
// blocks.
static inline uint32_t sparsesep_column_accumulator_bytes(
    const SparsesepPackedHeader* weights, int32_t batch) {
  (void)batch;
  const uint32_t block = weights->block_rows;
  return (weights->rows + block - 1) / block * block * 4;
}

#endif  // SPARSESEP_FULLY_CONNECTED_COLUMN_SCRATCH_H_
