// The layouts of blobs, and what the kernels of other instruction sets ask for,
// from this machine: lists of variants and scratch queries are plain C.
#ifndef SPARSESEP_DEVICE_VARIANTS_H_
#define SPARSESEP_DEVICE_VARIANTS_H_

#include <stddef.h>
#include <stdint.h>

#include "host/host_port.h"

#ifdef __cplusplus
extern "C" {
#endif

// The header of an empty blob of layout `number` in layouts.inc, from 0 on;
// NULL for numbers after the last.
SPARSESEP_EXPORT const void* sparsesep_host_layout(size_t number);

// `isa` is "v6m", "v7m", "dsp" or "mve", or NULL for this machine. The name of
// the variant which runs the layout of `blob`, 4-byte aligned and validated, in
// a build for that; NULL where there is none.
SPARSESEP_EXPORT const char* sparsesep_host_variant_name(const char* isa,
                                                         const void* blob);

// Bytes of scratch that this variant, which must exist, asks for in Prepare.
SPARSESEP_EXPORT uint32_t sparsesep_host_scratch_bytes(const char* isa,
                                                       const void* blob,
                                                       int32_t batch);

// The same of a SPARSE_CONV_2D, `blob` being its validated one, on images
// [1][height][width][channels]. 0 where they give no output, too. NULL as `isa`
// is this machine.
SPARSESEP_EXPORT uint64_t sparsesep_host_conv_scratch_bytes(const char* isa,
                                                            const void* blob,
                                                            int32_t height,
                                                            int32_t width);

// The kernel that runs the depthwise convolution of `blob`, a validated one of
// SEPARABLE_CONV_2D, and the operator's scratch, as for SPARSE_CONV_2D.
SPARSESEP_EXPORT const char* sparsesep_host_depthwise_variant_name(
    const char* isa, const void* blob);
SPARSESEP_EXPORT uint64_t sparsesep_host_depthwise_scratch_bytes(
    const char* isa, const void* blob, int32_t height, int32_t width);

#ifdef __cplusplus
}
#endif

#endif  // SPARSESEP_DEVICE_VARIANTS_H_
