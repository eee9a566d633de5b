// Images of external memories for the `tflite-micro` wheel: blocks of memory
// that paged models are run from.
#ifndef SPARSESEP_TFLM_WHEEL_IMAGE_H_
#define SPARSESEP_TFLM_WHEEL_IMAGE_H_

#include <stdint.h>

#include "external_memory.h"

#define SPARSESEP_WHEEL_EXPORT __attribute__((visibility("default")))

// An image of `size` bytes, which outlive it; NULL without memory.
SPARSESEP_WHEEL_EXPORT void* SparseSepOpenImage(const void* bytes,
                                                uint32_t size);

// The image of interpreters that are made from now on; NULL for none.
SPARSESEP_WHEEL_EXPORT void SparseSepSelectImage(void* image);

// Closes one that no interpreter uses any more.
SPARSESEP_WHEEL_EXPORT void SparseSepCloseImage(void* image);

// The one that is selected, or NULL.
const SparsesepExternalMemory* wheel_selected_image(void);

#endif  // SPARSESEP_TFLM_WHEEL_IMAGE_H_
