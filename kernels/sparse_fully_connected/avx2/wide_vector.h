// The frame of the AVX2 kernels of row-major int8 blobs: a kernel multiplies
// row groups by a vector widened to int16, whose products VPMADDWD adds up by
// twos exactly; the frame does what all have in common.
//
// Scratch: one input before the vector and one after it, which kernels may
// read but whose products they drop, and between them int16[cols, rounded up to
// whole blocks], zeros after the last column.
#ifndef SPARSESEP_SPARSE_FULLY_CONNECTED_AVX2_WIDE_VECTOR_H_
#define SPARSESEP_SPARSE_FULLY_CONNECTED_AVX2_WIDE_VECTOR_H_

#include "sparse_fully_connected/padded_vector.h"
#include "sparse_fully_connected/row_groups.h"

// As SparsesepMultiplyGroups, for the widened vector.
typedef void (*SparsesepMultiplyWide)(SparsesepRowStreams* streams,
                                      const int16_t* vector, uint32_t groups,
                                      uint32_t* acc);

// A whole kernel around `multiply`.
void sparsesep_run_avx2(const SparsesepPackedHeader* weights,
                        const SparsesepFullyConnectedParams* params,
                        const void* input, int32_t batch, void* output,
                        void* scratch, SparsesepMultiplyWide multiply);

// As sparsesep_finish_rows().
int8_t* sparsesep_finish_rows_avx2(const SparsesepRows* rows, uint32_t first,
                                   uint32_t count, const uint32_t* acc,
                                   int8_t* out);

// Scratch query.
static inline uint32_t sparsesep_wide_vector_bytes(
    const SparsesepPackedHeader* weights, int32_t batch) {
  (void)batch;
  return 2 * (sparsesep_padded_cols(weights) + 2);
}

#endif  // SPARSESEP_SPARSE_FULLY_CONNECTED_AVX2_WIDE_VECTOR_H_
