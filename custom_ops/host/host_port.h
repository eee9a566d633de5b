// The op core as plain C functions: what Python loads through ctypes.
#ifndef SPARSESEP_HOST_PORT_H_
#define SPARSESEP_HOST_PORT_H_

#include <stddef.h>
#include <stdint.h>

#include "external_memory.h"
#include "port.h"

#ifdef __cplusplus
extern "C" {
#endif

#define SPARSESEP_EXPORT __attribute__((visibility("default")))

// Runs the operator `op_name` through init, prepare and `evals` evals of the op
// core. `tensors` are by SparsesepTensorSlot; with `memory`, which may be NULL,
// weights may be pages in it. Returns what the first call that fails returns;
// output is written only by eval. `scratch_bytes`, which may be NULL, gets what
// prepare asked for.
SPARSESEP_EXPORT SparsesepStatus sparsesep_host_run(
    const char* op_name, const void* options, size_t options_bytes,
    const SparsesepTensor* tensors, const SparsesepExternalMemory* memory,
    int32_t evals, size_t* scratch_bytes);

// Validate the blobs of the operators as Prepare does.
SPARSESEP_EXPORT SparsesepStatus sparsesep_host_validate(const void* blob,
                                                         size_t blob_bytes);
SPARSESEP_EXPORT SparsesepStatus
sparsesep_host_validate_separable_conv(const void* blob, size_t blob_bytes);
SPARSESEP_EXPORT SparsesepStatus
sparsesep_host_validate_sparse_conv(const void* blob, size_t blob_bytes);

// The checksum of a page, 4-byte aligned (paged_weights.h).
SPARSESEP_EXPORT uint32_t sparsesep_host_page_checksum(const void* page,
                                                       uint32_t bytes);

SPARSESEP_EXPORT const char* sparsesep_host_status_message(
    SparsesepStatus status);

#ifdef __cplusplus
}
#endif

#endif  // SPARSESEP_HOST_PORT_H_
