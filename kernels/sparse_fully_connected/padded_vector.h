// Input vectors for blocks that span several columns.
#ifndef SPARSESEP_SPARSE_FULLY_CONNECTED_PADDED_VECTOR_H_
#define SPARSESEP_SPARSE_FULLY_CONNECTED_PADDED_VECTOR_H_

#include <string.h>

#include "sparsesep/packed_weights.h"

// cols rounded up to whole blocks, whose width is a power of two.
static inline uint32_t sparsesep_padded_cols(const SparsesepPackedHeader* h) {
  const uint32_t last = h->block_cols - 1u;
  return (h->cols + last) & ~last;
}

// Scratch query: one padded vector of int8 where the last block reaches past
// the input, else nothing.
static inline uint32_t sparsesep_padded_vector_bytes(
    const SparsesepPackedHeader* weights, int32_t batch) {
  (void)batch;
  const uint32_t padded = sparsesep_padded_cols(weights);
  return padded == weights->cols ? 0 : padded;
}

// `vector`, or its copy in `scratch` followed by zeros where blocks reach
// past its end.
static inline const int8_t* sparsesep_padded_vector(
    const SparsesepPackedHeader* weights, const int8_t* vector, void* scratch) {
  const uint32_t cols = weights->cols;
  const uint32_t padded = sparsesep_padded_cols(weights);
  if (padded == cols) return vector;
  memcpy(scratch, vector, cols);
  memset((int8_t*)scratch + cols, 0, padded - cols);
  return scratch;
}

#endif  // SPARSESEP_SPARSE_FULLY_CONNECTED_PADDED_VECTOR_H_
