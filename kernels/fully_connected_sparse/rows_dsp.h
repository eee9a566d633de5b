// The frame of the kernels for the DSP extension: a kernel multiplies all rows
// by one vector, the frame does what all have in common.
//
// Scratch: uint32 acc[rows, rounded up to whole blocks]; directly behind them,
// where blocks span columns, the vector, widened (row-major blobs) or with
// zeros behind its end (column-major ones, if their last block reaches there).
#ifndef SPARSESEP_FULLY_CONNECTED_ROWS_DSP_H_
#define SPARSESEP_FULLY_CONNECTED_ROWS_DSP_H_

#include "padded_vector.h"
#include "sparsesep/sparsesep.h"

// The work of a kernel's inner loops, which read this struct in assembly.
typedef struct SparsesepVectorDsp {
  const int8_t* value;
  const uint8_t* index;
  const uint16_t* counts;
  uint32_t* acc;
  // Where the accumulators of the last block end, and where a widened vector
  // begins: each 4 inputs x0 x1 x2 x3 as words (x0, x2), (x1, x3) of int16, low
  // half first, which is what SXTB16 makes of 4 weights.
  uint32_t* acc_end;
  const int8_t* x;  // the vector where it is not widened, and its end
  const int8_t* x_end;
  int32_t input_zero_point;  // column-major blobs only
} SparsesepVectorDsp;

// acc = weights * x, without bias.
typedef void (*SparsesepMultiplyDsp)(const SparsesepVectorDsp* vector);

// A whole kernel around `multiply`.
void sparsesep_run_dsp(const SparsesepPackedHeader* weights,
                       const SparsesepFullyConnectedParams* params,
                       const void* input, int32_t batch, void* output,
                       void* scratch, SparsesepMultiplyDsp multiply);

// Widens one vector, with zeros behind its end up to a whole block.
void sparsesep_widen_dsp(const SparsesepPackedHeader* weights,
                         const int8_t* vector, uint32_t* wide);

// Scratch query: accumulators.
static inline uint32_t sparsesep_dsp_rows_bytes(
    const SparsesepPackedHeader* weights, int32_t batch) {
  (void)batch;
  const uint32_t last = weights->block_rows - 1u;
  return ((weights->rows + last) & ~last) * 4;
}

// Scratch query: accumulators and a widened vector.
static inline uint32_t sparsesep_dsp_rows_and_wide_bytes(
    const SparsesepPackedHeader* weights, int32_t batch) {
  return sparsesep_dsp_rows_bytes(weights, batch) +
         2 * sparsesep_padded_cols(weights);
}

// Scratch query: accumulators, and a vector where its last block reaches past
// its end.
static inline uint32_t sparsesep_dsp_rows_and_vector_bytes(
    const SparsesepPackedHeader* weights, int32_t batch) {
  return sparsesep_dsp_rows_bytes(weights, batch) +
         sparsesep_padded_vector_bytes(weights, batch);
}

#endif  // SPARSESEP_FULLY_CONNECTED_ROWS_DSP_H_
