// Splits a packed weight blob so that threads can share its rows.
#ifndef SPARSESEP_DELEGATE_CPU_SPLIT_ROWS_H_
#define SPARSESEP_DELEGATE_CPU_SPLIT_ROWS_H_

#include "sparsesep/packed_weights.h"

// Splits a valid row-major blob into at most `most_parts` valid blobs with
// about the same number of blocks each, and returns their number. parts[i]
// comes from aligned_alloc; first_rows[i] is its first row. Returns 0,
// without any part, if memory runs out.
int32_t sparsesep_split_rows(const SparsesepPackedHeader* weights,
                             int32_t most_parts, SparsesepPackedHeader** parts,
                             uint32_t* first_rows);

#endif  // SPARSESEP_DELEGATE_CPU_SPLIT_ROWS_H_
