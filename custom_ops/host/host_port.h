// The op core behind plain C calls: what Python loads through ctypes.
#ifndef SPARSESEP_HOST_PORT_H_
#define SPARSESEP_HOST_PORT_H_

#include <stddef.h>
#include <stdint.h>

#include "external_memory.h"
#include "port.h"
#include "sparsesep/status.h"

#ifdef __cplusplus
extern "C" {
#endif

#define SPARSESEP_EXPORT __attribute__((visibility("default")))

// Runs one layer through init, prepare and eval of the op core.
// input[elements] and output[batch][rows] are of `type`, int8 or float32.
// Returns what prepare returns; the output is written only where that is
// SPARSESEP_OK.
SPARSESEP_EXPORT SparsesepStatus sparsesep_host_sparse_fully_connected(
    const void* options, size_t options_bytes, const void* blob,
    size_t blob_bytes, SparsesepTensorType type, const void* input,
    int32_t elements, void* output, int32_t rows, int32_t batch);

// The same with weights that may be pages in `memory`, evaluated `evals` times.
// Returns what the first call that fails does. `scratch_bytes`, which may be
// NULL, gets what prepare asked for, 0 where it refused.
SPARSESEP_EXPORT SparsesepStatus sparsesep_host_paged_fully_connected(
    const void* options, size_t options_bytes, const void* weights,
    size_t weights_bytes, const SparsesepExternalMemory* memory,
    SparsesepTensorType type, const void* input, int32_t elements, void* output,
    int32_t rows, int32_t batch, int32_t evals, size_t* scratch_bytes);

// Runs one SEPARABLE_CONV_2D the same way. input_shape and output_shape are
// batch, height, width, channels; the tensors are of `type`.
SPARSESEP_EXPORT SparsesepStatus sparsesep_host_separable_conv_2d(
    const void* blob, size_t blob_bytes, SparsesepTensorType type,
    const void* input, const int32_t* input_shape, void* output,
    const int32_t* output_shape);

// Validates the blob of a SEPARABLE_CONV_2D as Prepare does.
SPARSESEP_EXPORT SparsesepStatus
sparsesep_host_validate_separable_conv(const void* blob, size_t blob_bytes);

// Runs one SPARSE_CONV_2D the same way. `scratch_bytes`, which may be NULL,
// gets what prepare asked for, 0 where it refused.
SPARSESEP_EXPORT SparsesepStatus sparsesep_host_sparse_conv_2d(
    const void* blob, size_t blob_bytes, SparsesepTensorType type,
    const void* input, const int32_t* input_shape, void* output,
    const int32_t* output_shape, size_t* scratch_bytes);

// Validates the blob of a SPARSE_CONV_2D as Prepare does.
SPARSESEP_EXPORT SparsesepStatus
sparsesep_host_validate_sparse_conv(const void* blob, size_t blob_bytes);

// Validates `blob` as Prepare does.
SPARSESEP_EXPORT SparsesepStatus sparsesep_host_validate(const void* blob,
                                                         size_t blob_bytes);

// The checksum of a page, 4-byte aligned (paged_weights.h).
SPARSESEP_EXPORT uint32_t sparsesep_host_page_checksum(const void* page,
                                                       uint32_t bytes);

// Name of the variant that runs a validated blob, or NULL.
SPARSESEP_EXPORT const char* sparsesep_host_variant_name(const void* blob);

// Bytes of scratch that it asks for in Prepare; 0 where there is none.
SPARSESEP_EXPORT uint32_t sparsesep_host_scratch_bytes(const void* blob,
                                                       int32_t batch);

SPARSESEP_EXPORT const char* sparsesep_host_status_message(
    SparsesepStatus status);

#ifdef __cplusplus
}
#endif

#endif  // SPARSESEP_HOST_PORT_H_
