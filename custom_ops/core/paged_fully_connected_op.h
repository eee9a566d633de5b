// SPARSE_FULLY_CONNECTED whose weights may be pages in an external memory.
//
// Takes the place of sparse_fully_connected_op.h where an application has such
// a memory: layers whose packed weights are in the model run as there, those
// with a table of contents (paged_weights.h) page by page. Memory in the arena,
// for the time of one Eval: the largest page (two with `wait`) and the scratch
// that the kernel asks for on a page. A batch is run vector by vector, each
// page being fetched once.
#ifndef SPARSESEP_PAGED_FULLY_CONNECTED_OP_H_
#define SPARSESEP_PAGED_FULLY_CONNECTED_OP_H_

#include "core/sparse_fully_connected_op.h"
#include "external_memory.h"

#ifdef __cplusplus
extern "C" {
#endif

// `memory` outlives the operator; NULL refuses layers that need it.
void* sparsesep_paged_fully_connected_init(
    const SparsesepHost* host, const void* options, size_t options_bytes,
    const SparsesepExternalMemory* memory);

// Validates as sparsesep_fully_connected_prepare() does; the pages, which do
// not fit anywhere yet, by their checksums. Reads the external memory once.
SparsesepStatus sparsesep_paged_fully_connected_prepare(
    const SparsesepHost* host, void* op_data);

// Runs the layer. Fails, and says so, where a page cannot be fetched or is not
// what it was; the output is then incomplete.
SparsesepStatus sparsesep_paged_fully_connected_eval(const SparsesepHost* host,
                                                     void* op_data);

#ifdef __cplusplus
}
#endif

#endif  // SPARSESEP_PAGED_FULLY_CONNECTED_OP_H_
