// The frame of column-major int8 kernels: a kernel multiplies all columns by
// one vector, the frame does what all have in common.
//
// Input-stationary: the weights of a column are read only where the input
// differs from its zero point. Bias is not folded, inputs are centered here.
//
// Scratch: uint32 acc[rows rounded up to whole blocks].
#ifndef SPARSESEP_SPARSE_FULLY_CONNECTED_COLUMNS_H_
#define SPARSESEP_SPARSE_FULLY_CONNECTED_COLUMNS_H_

#include "common/rows.h"

// The sections that a kernel walks through. Assembly reads this struct.
typedef struct SparsesepColumnStreams {
  const uint16_t* counts;
  const void* index;
  const int8_t* value;
} SparsesepColumnStreams;

// Adds all `cols` columns, cols >= 1, to `acc`. Accumulators are unsigned, so
// that one which overflows wraps as in TFLite.
typedef void (*SparsesepMultiplyColumns)(const SparsesepColumnStreams* streams,
                                         const int8_t* vector, uint32_t cols,
                                         int32_t input_zero_point,
                                         uint32_t* acc);

// A whole kernel around `multiply`.
void sparsesep_run_columns(const SparsesepPackedHeader* weights,
                           const SparsesepFullyConnectedParams* params,
                           const void* input, int32_t batch, void* output,
                           void* scratch, SparsesepMultiplyColumns multiply);

// Scratch query.
static inline uint32_t sparsesep_column_accumulator_bytes(
    const SparsesepPackedHeader* weights, int32_t batch) {
  (void)batch;
  const uint32_t last = weights->block_rows - 1u;
  return ((weights->rows + last) & ~last) * 4;
}

#endif  // SPARSESEP_SPARSE_FULLY_CONNECTED_COLUMNS_H_
