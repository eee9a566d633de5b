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
// block_rows sums, without bias, and moves the streams on.
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

// The plain C kernel, for any block shape: each file that includes this names
// one shape.
static inline void sparsesep_multiply_float_blocks(
    SparsesepFloatStreams* streams, uint32_t count, const float* vector,
    float* sums, uint32_t block_rows, uint32_t block_cols) {
  const uint8_t* step = streams->step;
  const float* value = streams->value;
  const float* x = vector;
  float acc[4] = {0};
  for (; count > 0; --count) {
    x += *step++ * block_cols;
    for (uint32_t r = 0; r < block_rows; ++r, value += block_cols) {
      for (uint32_t c = 0; c < block_cols; ++c) acc[r] += value[c] * x[c];
    }
  }
  for (uint32_t r = 0; r < block_rows; ++r) sums[r] = acc[r];
  streams->step = step;
  streams->value = value;
}

#endif  // SPARSESEP_SPARSE_FULLY_CONNECTED_FLOAT_BLOCKS_H_
