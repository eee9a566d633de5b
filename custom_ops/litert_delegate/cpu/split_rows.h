// Parts of a packed weight blob, so that threads can share its rows.
#ifndef SPARSESEP_DELEGATE_CPU_SPLIT_ROWS_H_
#define SPARSESEP_DELEGATE_CPU_SPLIT_ROWS_H_

#include "sparsesep/packed_weights.h"

// Cuts a valid row-major blob into at most `parts` blobs of about the same
// number of blocks, each a valid blob of its own on its rows, and returns how
// many. parts[i] is from aligned_alloc; first_rows[i] is where it starts. 0,
// and no part, without memory.
int32_t sparsesep_split_rows(const SparsesepPackedHeader* weights,
                             int32_t most_parts, SparsesepPackedHeader** parts,
                             uint32_t* first_rows);

#endif  // SPARSESEP_DELEGATE_CPU_SPLIT_ROWS_H_
