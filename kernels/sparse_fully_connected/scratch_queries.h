// The scratch queries that lists of variants name, and which layouts a variant
// is for: plain C, the same on every machine.
#ifndef SPARSESEP_SPARSE_FULLY_CONNECTED_SCRATCH_QUERIES_H_
#define SPARSESEP_SPARSE_FULLY_CONNECTED_SCRATCH_QUERIES_H_

#include <string.h>

#include "sparse_fully_connected/avx2/run_strips_x86.h"
#include "sparse_fully_connected/columns.h"
#include "sparse_fully_connected/dsp/run_dense_vectors_dsp.h"
#include "sparse_fully_connected/dsp/run_vector_tiles_dsp.h"
#include "sparse_fully_connected/float_blocks.h"
#include "sparse_fully_connected/mve/run_mve.h"
#include "sparse_fully_connected/neon/strips_neon.h"
#include "sparse_fully_connected/padded_vector.h"
#include "sparse_fully_connected/v6m/eight_vectors_v6m.h"
#include "sparse_fully_connected/v7m/run_four_vectors_v7m.h"
#include "sparsesep/sparsesep.h"

static inline uint32_t sparsesep_no_scratch(
    const SparsesepPackedHeader* weights, int32_t batch) {
  (void)weights;
  (void)batch;
  return 0;
}

// Returns whether `variant` is for the layout in `header`. Five fields lie next
// to each other in both; count multiples are powers of two.
static inline int sparsesep_variant_fits(
    const SparsesepFullyConnectedVariant* variant,
    const SparsesepPackedHeader* header) {
  _Static_assert(
      offsetof(SparsesepPackedHeader, block_cols) -
                  offsetof(SparsesepPackedHeader, value_type) ==
              4 &&
          offsetof(SparsesepFullyConnectedVariant, block_cols) -
                  offsetof(SparsesepFullyConnectedVariant, value_type) ==
              4,
      "five fields side by side");
  return memcmp(&variant->value_type, &header->value_type, 5) == 0 &&
         variant->value_order == header->value_order &&
         (header->count_multiple & (variant->count_multiple - 1)) == 0;
}

#endif  // SPARSESEP_SPARSE_FULLY_CONNECTED_SCRATCH_QUERIES_H_
