// The frame of Armv6-M kernels that keep four weights in registers while eight
// vectors pass by, and a row's parameters while it is requantized.
//
// Scratch: the vectors, int32[columns / 4][8][4].
#ifndef SPARSESEP_SPARSE_FULLY_CONNECTED_V6M_EIGHT_VECTORS_V6M_H_
#define SPARSESEP_SPARSE_FULLY_CONNECTED_V6M_EIGHT_VECTORS_V6M_H_

#include "sparse_fully_connected/padded_vector.h"
#include "sparse_fully_connected/row_groups.h"

#define SPARSESEP_EIGHT_VECTORS 8
// Of the vectors: more cost scratch.
#define SPARSESEP_EIGHT_V6M_MOST_COLS 128

// The part of the kernel below for batches with eight vectors.
void sparsesep_run_whole_eight_vectors_v6m(
    const SparsesepPackedHeader* weights,
    const SparsesepFullyConnectedParams* params, const void* input,
    int32_t batch, void* output, void* scratch,
    SparsesepMultiplyGroups multiply);

// A whole kernel of 4x4 blocks, uint8 steps, int8 values: `multiply` for what
// is left of the batch, and where columns or rows are no multiple of 4.
static inline void sparsesep_run_eight_vectors_v6m(
    const SparsesepPackedHeader* weights,
    const SparsesepFullyConnectedParams* params, const void* input,
    int32_t batch, void* output, void* scratch,
    SparsesepMultiplyGroups multiply) {
  if (batch < SPARSESEP_EIGHT_VECTORS) {
    sparsesep_run_row_groups(weights, params, input, batch, output, scratch,
                             multiply);
    return;
  }
  sparsesep_run_whole_eight_vectors_v6m(weights, params, input, batch, output,
                                        scratch, multiply);
}

// Scratch query of kernels that do.
static inline uint32_t sparsesep_eight_vectors_v6m_bytes(
    const SparsesepPackedHeader* weights, int32_t batch) {
  if (batch < SPARSESEP_EIGHT_VECTORS || weights->cols % 4 != 0 ||
      weights->cols > SPARSESEP_EIGHT_V6M_MOST_COLS) {
    return sparsesep_padded_vector_bytes(weights, batch);
  }
  return 4 * SPARSESEP_EIGHT_VECTORS * weights->cols;
}

#endif  // SPARSESEP_SPARSE_FULLY_CONNECTED_V6M_EIGHT_VECTORS_V6M_H_
