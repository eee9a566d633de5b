// Batches of vectors, such as the pixels of a convolution: 16 vectors are
// turned so that each stands in a lane of four registers, and a weight that was
// read once multiplies all of them.
//
// `lanes` holds int16[cols, rounded up to whole blocks and eights][16].
#ifndef SPARSESEP_SPARSE_FULLY_CONNECTED_NEON_STRIPS_NEON_H_
#define SPARSESEP_SPARSE_FULLY_CONNECTED_NEON_STRIPS_NEON_H_

#include "sparse_fully_connected/padded_vector.h"
#include "sparse_fully_connected/row_groups.h"

#define SPARSESEP_STRIP_VECTORS_NEON 16

// As SparsesepMultiplyGroups, for all vectors of a strip: writes
// uint32 acc[rows][SPARSESEP_STRIP_VECTORS_NEON].
typedef void (*SparsesepMultiplyStripNeon)(SparsesepRowStreams* streams,
                                           const int16_t* lanes,
                                           uint32_t groups, uint32_t* acc);

// Computes vectors of the batch in strips and returns how many: all, or all but
// a few.
int32_t sparsesep_run_strips_neon(const SparsesepPackedHeader* weights,
                                  const SparsesepFullyConnectedParams* params,
                                  const void* input, int32_t batch,
                                  void* output, void* scratch,
                                  SparsesepMultiplyStripNeon multiply);

// A whole kernel: `rest` runs what strips leave.
static inline void sparsesep_run_batch_neon(
    const SparsesepPackedHeader* weights,
    const SparsesepFullyConnectedParams* params, const void* input,
    int32_t batch, void* output, void* scratch,
    SparsesepMultiplyStripNeon multiply_strip, SparsesepMultiplyGroups rest) {
  const int32_t done = sparsesep_run_strips_neon(
      weights, params, input, batch, output, scratch, multiply_strip);
  sparsesep_run_row_groups(
      weights, params,
      (const int8_t*)input + (size_t)done * (size_t)params->input_step,
      batch - done, (int8_t*)output + (size_t)done * weights->rows, scratch,
      rest);
}

// Scratch query.
static inline uint32_t sparsesep_batch_bytes_neon(
    const SparsesepPackedHeader* weights, int32_t batch) {
  const uint32_t one = sparsesep_padded_vector_bytes(weights, batch);
  const uint32_t cols = (sparsesep_padded_cols(weights) + 7u) & ~7u;
  const uint32_t strip = cols * SPARSESEP_STRIP_VECTORS_NEON * 2;
  return batch < 2 ? one : strip > one ? strip : one;
}

#endif  // SPARSESEP_SPARSE_FULLY_CONNECTED_NEON_STRIPS_NEON_H_
