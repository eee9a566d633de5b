// What the kernels for the DSP extension share: activations widened once, and
// accumulators of all rows in scratch, which one tight loop requantises.
//
// Scratch: uint32 acc[rows, rounded up to whole blocks], directly before
// uint32 wide[2 * tiles of 4 columns] (only where blocks span columns), so
// that a loop over rows ends where the accumulators meet the activations.
#ifndef SPARSESEP_FULLY_CONNECTED_ROWS_DSP_H_
#define SPARSESEP_FULLY_CONNECTED_ROWS_DSP_H_

#include "padded_vector.h"
#include "sparsesep/packed_weights.h"
#include "sparsesep/sparsesep.h"

// One vector's work for a kernel's inner loops. Assembly reads this struct.
typedef struct SparsesepVectorDsp {
  const int8_t* value;
  const uint8_t* index;
  const uint16_t* counts;
  uint32_t* acc;
  uint32_t* acc_end;  // behind the accumulators of the last block
  const void* x;      // the input vector, or what it was widened to
  // Column-major kernels only:
  const void* x_end;
  int32_t input_zero_point;
} SparsesepVectorDsp;

// acc = weights * x
typedef void (*SparsesepMultiplyDsp)(const SparsesepVectorDsp* vector);

// Scratch query: accumulators only.
static inline uint32_t sparsesep_dsp_rows_bytes(
    const SparsesepPackedHeader* weights, int32_t batch) {
  (void)batch;
  return 4 * ((weights->rows + 3) & ~3u);
}

// Scratch query: accumulators and one widened vector.
static inline uint32_t sparsesep_dsp_rows_and_vector_bytes(
    const SparsesepPackedHeader* weights, int32_t batch) {
  return sparsesep_dsp_rows_bytes(weights, batch) +
         2 * sparsesep_padded_cols(weights);
}

// Scratch query: accumulators, and one vector where the last block reaches past
// it.
static inline uint32_t sparsesep_dsp_rows_and_padded_bytes(
    const SparsesepPackedHeader* weights, int32_t batch) {
  return sparsesep_dsp_rows_bytes(weights, batch) +
         (weights->cols % 4 == 0 ? 0 : (weights->cols + 3) & ~3u);
}

// A whole kernel around `multiply`. Activations are widened where block_cols is
// 4.
void sparsesep_run_dsp(const SparsesepPackedHeader* weights,
                       const SparsesepFullyConnectedParams* params,
                       const void* input, int32_t batch, void* output,
                       void* scratch, SparsesepMultiplyDsp multiply);

// Each 4 inputs x0 x1 x2 x3 become the words (x0, x2), (x1, x3) of int16, low
// half first: what SXTB16 makes of 4 packed weights. Zeros behind the last
// input up to a multiple of 4.
void sparsesep_widen_dsp(const SparsesepPackedHeader* weights,
                         const int8_t* input, uint32_t* wide);

#endif  // SPARSESEP_FULLY_CONNECTED_ROWS_DSP_H_
