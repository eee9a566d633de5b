#ifndef SPARSESEP_SPARSE_FULLY_CONNECTED_MVE_TWELVE_VECTORS_MVE_H_
#define SPARSESEP_SPARSE_FULLY_CONNECTED_MVE_TWELVE_VECTORS_MVE_H_

#include "sparsesep/sparsesep.h"

#define SPARSESEP_TWELVE_VECTORS 12

// A SparsesepRunManyMve: twelve vectors at a time.
//
// 1x1 blocks, uint8 columns in one window, int8 values.
int32_t sparsesep_run_twelve_vectors_mve(
    const SparsesepPackedHeader* weights,
    const SparsesepFullyConnectedParams* params, const int8_t* input,
    int32_t batch, int8_t* output);

#endif  // SPARSESEP_SPARSE_FULLY_CONNECTED_MVE_TWELVE_VECTORS_MVE_H_
