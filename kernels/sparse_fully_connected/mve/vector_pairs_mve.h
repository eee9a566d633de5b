#ifndef SPARSESEP_SPARSE_FULLY_CONNECTED_MVE_VECTOR_PAIRS_MVE_H_
#define SPARSESEP_SPARSE_FULLY_CONNECTED_MVE_VECTOR_PAIRS_MVE_H_

#include "sparsesep/sparsesep.h"

// Vectors of a pass over the blob, at most.
#define SPARSESEP_PAIRED_VECTORS 16

// A SparsesepRunManyMve for batches of two and more: all pairs of vectors.
//
// 4x4 blocks, uint8 tiles in one window, int8 values in rows of 16.
int32_t sparsesep_run_vector_pairs_mve(
    const SparsesepPackedHeader* weights,
    const SparsesepFullyConnectedParams* params, const int8_t* input,
    int32_t batch, int8_t* output);

#endif  // SPARSESEP_SPARSE_FULLY_CONNECTED_MVE_VECTOR_PAIRS_MVE_H_
