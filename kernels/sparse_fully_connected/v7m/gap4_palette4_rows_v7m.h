// Rows of 4-bit gaps and values out of a palette of 16, for Armv7-M and, where
// vectors are left of a batch, for the DSP extension.
#ifndef SPARSESEP_SPARSE_FULLY_CONNECTED_V7M_GAP4_PALETTE4_ROWS_V7M_H_
#define SPARSESEP_SPARSE_FULLY_CONNECTED_V7M_GAP4_PALETTE4_ROWS_V7M_H_

#include "sparse_fully_connected/row_groups.h"

// A SparsesepMultiplyGroups.
void sparsesep_gap4_palette4_rows_v7m(SparsesepRowStreams* streams,
                                      const int8_t* vector, uint32_t groups,
                                      uint32_t* acc);

#endif  // SPARSESEP_SPARSE_FULLY_CONNECTED_V7M_GAP4_PALETTE4_ROWS_V7M_H_
