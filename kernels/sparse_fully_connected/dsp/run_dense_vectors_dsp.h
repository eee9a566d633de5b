// The frame of the kernel of dense 4x4 blocks for the DSP extension: four
// vectors stay beside eight sums in registers while two rows of weights pass
// by.
//
// Scratch: sums[4][2] of two rows; after them four vectors, widened: for each
// four columns uint32 even[4], odd[4], as rows_dsp.h tells, 0 behind the end.
#ifndef SPARSESEP_SPARSE_FULLY_CONNECTED_DSP_RUN_DENSE_VECTORS_DSP_H_
#define SPARSESEP_SPARSE_FULLY_CONNECTED_DSP_RUN_DENSE_VECTORS_DSP_H_

#include "sparse_fully_connected/dsp/rows_dsp.h"

// Vectors of the batch that are taken four at a time, if accumulators are
// bounded; the others come one by one.
static inline uint32_t sparsesep_dense_vectors_dsp(
    const SparsesepPackedHeader* weights, int32_t batch) {
  return weights->rows % 2 == 0 ? (uint32_t)batch & ~3u : 0;
}

// A whole kernel: `multiply` for what is left of the batch.
void sparsesep_run_dense_vectors_dsp(
    const SparsesepPackedHeader* weights,
    const SparsesepFullyConnectedParams* params, const void* input,
    int32_t batch, void* output, void* scratch, SparsesepMultiplyDsp multiply);

// Scratch query of kernels that do.
static inline uint32_t sparsesep_dsp_dense_vectors_bytes(
    const SparsesepPackedHeader* weights, int32_t batch) {
  const uint32_t one = sparsesep_dsp_rows_and_wide_bytes(weights, batch);
  const uint32_t four = 32 + 8 * sparsesep_padded_cols(weights);
  return sparsesep_dense_vectors_dsp(weights, batch) > 0 && four > one ? four
                                                                       : one;
}

#endif  // SPARSESEP_SPARSE_FULLY_CONNECTED_DSP_RUN_DENSE_VECTORS_DSP_H_
