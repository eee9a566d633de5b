// The frame of row-major int8 kernels: a kernel multiplies row groups, the
// frame does what all have in common.
#ifndef SPARSESEP_SPARSE_FULLY_CONNECTED_ROW_GROUPS_H_
#define SPARSESEP_SPARSE_FULLY_CONNECTED_ROW_GROUPS_H_

#include "common/rows.h"
#include "sparsesep/compiler.h"

// Where the streams of a blob stand. Assembly reads this struct.
typedef struct SparsesepRowStreams {
  const uint16_t* counts;
  const void* index;
  const void* value;
  const SparsesepPackedHeader* weights;
} SparsesepRowStreams;

// Multiplies the next `groups` row groups, groups >= 1, by `vector`, whose
// length is a multiple of block_cols. Writes block_rows accumulators for each
// group, without bias, and advances the streams. Accumulators are unsigned, so
// that one which overflows wraps as in TFLite.
typedef void (*SparsesepMultiplyGroups)(SparsesepRowStreams* streams,
                                        const int8_t* vector, uint32_t groups,
                                        uint32_t* acc);

// The head of a multiply() in assembly: r0 streams, r1 vector, r2 groups, r3
// acc.
#define SPARSESEP_NAKED_MULTIPLY                            \
  static SPARSESEP_NAKED void multiply(                     \
      SparsesepRowStreams* streams __attribute__((unused)), \
      const int8_t* vector __attribute__((unused)),         \
      uint32_t groups __attribute__((unused)),              \
      uint32_t* acc __attribute__((unused)))

// A whole kernel around `multiply`. `scratch` as
// sparsesep_padded_vector_bytes() asks for.
void sparsesep_run_row_groups(const SparsesepPackedHeader* weights,
                              const SparsesepFullyConnectedParams* params,
                              const void* input, int32_t batch, void* output,
                              void* scratch, SparsesepMultiplyGroups multiply);

#endif  // SPARSESEP_SPARSE_FULLY_CONNECTED_ROW_GROUPS_H_
