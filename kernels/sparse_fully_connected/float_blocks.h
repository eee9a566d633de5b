// The frame of float32 kernels of row-major blocks with uint8 steps: a kernel
// multiplies one row group, the frame does what all have in common.
//
// Scratch: float[cols, rounded up to whole blocks], where that is more than
// cols.
#ifndef SPARSESEP_SPARSE_FULLY_CONNECTED_FLOAT_BLOCKS_H_
#define SPARSESEP_SPARSE_FULLY_CONNECTED_FLOAT_BLOCKS_H_

#include "sparse_fully_connected/padded_vector.h"
#include "sparsesep/sparsesep.h"

// Where the streams of a blob stand.
typedef struct SparsesepFloatStreams {
  const uint8_t* step;
  const float* value;
} SparsesepFloatStreams;

// Multiplies the next `count` blocks, those of one group, by `vector`. Writes
// block_rows sums, without bias, and advances the streams.
typedef void (*SparsesepMultiplyFloats)(SparsesepFloatStreams* streams,
                                        uint32_t count, const float* vector,
                                        float* sums);

// A whole kernel around `multiply`.
void sparsesep_run_float_blocks(const SparsesepPackedHeader* weights,
                                const SparsesepFullyConnectedParams* params,
                                const void* input, int32_t batch, void* output,
                                void* scratch,
                                SparsesepMultiplyFloats multiply);

// Scratch query.
static inline uint32_t sparsesep_padded_floats_bytes(
    const SparsesepPackedHeader* weights, int32_t batch) {
  return 4 * sparsesep_padded_vector_bytes(weights, batch);
}

#endif  // SPARSESEP_SPARSE_FULLY_CONNECTED_FLOAT_BLOCKS_H_
