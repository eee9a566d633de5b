// What the Helium kernels share. Each is a function that accumulates groups of
// rows; sparsesep_run_mve() walks batch and rows around it, in slices of rows
// whose accumulators stand in scratch until they are requantised by vectors.
//
// Scratch: int32 accumulators of one slice; behind them, for patterns wider
// than one column, room for a copy of one input vector.
#ifndef SPARSESEP_FULLY_CONNECTED_MVE_H_
#define SPARSESEP_FULLY_CONNECTED_MVE_H_

#include "rows.h"

#define SPARSESEP_MVE_SLICE 64

// Where the streams of a row-major blob stand.
typedef struct SparsesepStreams {
  const uint16_t* counts;
  const uint8_t* index;
  const int8_t* value;
  // Columns between neighbouring windows of INDEX_WINDOW8; 0 without windows.
  uint32_t window_cols;
} SparsesepStreams;

// The first two instructions of a run in windows: the start of the run's window
// from its byte in the index stream.
#define SPARSESEP_MVE_WINDOW            \
  "ldrb %[window], [%[index]], #1\n"    \
  "mla %[window], %[window], %[window_cols], %[x]\n"

// acc[block_rows * groups] = bias + weights * x. Moves the streams on behind
// the last group.
typedef void (*SparsesepAccumulate)(SparsesepStreams* streams, const int8_t* x,
                                    uint32_t groups, const int32_t* bias,
                                    int32_t* acc);

// A whole kernel. `alignment` is what accumulate() asks of x: 1 or 4 bytes.
void sparsesep_run_mve(const SparsesepPackedHeader* weights,
                       const SparsesepFullyConnectedParams* params,
                       const int8_t* input, int32_t batch, int8_t* output,
                       void* scratch, uint32_t alignment,
                       SparsesepAccumulate accumulate);

// Rows of the slice that starts at `row`.
static inline uint32_t sparsesep_slice_rows(
    const SparsesepPackedHeader* weights, uint32_t row) {
  const uint32_t left = weights->rows - row;
  return left < SPARSESEP_MVE_SLICE ? left : SPARSESEP_MVE_SLICE;
}

// Scratch query: accumulators of a slice, in whole groups.
static inline uint32_t sparsesep_slice_bytes(
    const SparsesepPackedHeader* weights, int32_t batch) {
  (void)batch;
  return (sparsesep_slice_rows(weights, 0) + 3) / 4 * 16;
}

// Scratch query: accumulators and one vector.
static inline uint32_t sparsesep_slice_and_vector_bytes(
    const SparsesepPackedHeader* weights, int32_t batch) {
  return sparsesep_slice_bytes(weights, batch) + (weights->cols + 15) / 16 * 16;
}

#endif  // SPARSESEP_FULLY_CONNECTED_MVE_H_
