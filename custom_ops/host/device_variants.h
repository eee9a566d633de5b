// What the kernels of other instruction sets ask for, from this machine: their
// rows in variants.inc and their scratch queries are plain C.
#ifndef SPARSESEP_DEVICE_VARIANTS_H_
#define SPARSESEP_DEVICE_VARIANTS_H_

#include <stdint.h>

#include "host/host_port.h"

#ifdef __cplusplus
extern "C" {
#endif

// `isa` is "v6m", "v7m", "dsp" or "mve". Of the variant which runs the layout
// of `blob`, 4-byte aligned and validated, in a build for that: its name, or
// NULL where there is none.
SPARSESEP_EXPORT const char* sparsesep_device_variant_name(const char* isa,
                                                           const void* blob);

// Bytes of scratch that it asks for in Prepare; 0 where there is none.
SPARSESEP_EXPORT uint32_t sparsesep_device_scratch_bytes(const char* isa,
                                                         const void* blob,
                                                         int32_t batch);

// The same of a SPARSE_CONV_2D, `blob` being its validated one, on images
// [1][height][width][channels]. 0 where they give no output, too. NULL as `isa`
// is this machine.
SPARSESEP_EXPORT uint64_t sparsesep_device_conv_scratch_bytes(const char* isa,
                                                              const void* blob,
                                                              int32_t height,
                                                              int32_t width);

#ifdef __cplusplus
}
#endif

#endif  // SPARSESEP_DEVICE_VARIANTS_H_
