// What prepare of the convolution operators checks of their tensors.
#ifndef SPARSESEP_IMAGE_TENSORS_H_
#define SPARSESEP_IMAGE_TENSORS_H_

#include "port.h"
#include "sparsesep/conv_shape.h"

// Whether the tensor is an image of these sizes, small enough to be addressed.
static inline int sparsesep_is_image(const SparsesepTensor* tensor,
                                     SparsesepTensorType type, int32_t batch,
                                     int32_t height, int32_t width,
                                     uint32_t channels) {
  if (tensor->type != type || tensor->rank != 4 || tensor->dims[0] != batch ||
      tensor->dims[1] != height || tensor->dims[2] != width ||
      tensor->dims[3] < 0 || (uint32_t)tensor->dims[3] != channels) {
    return 0;
  }
  int32_t elements = 1;
  for (int i = 0; i < 4; ++i) {
    if (tensor->dims[i] <= 0 || elements > INT32_MAX / 4 / tensor->dims[i]) {
      return 0;
    }
    elements *= tensor->dims[i];
  }
  return 1;
}

// The blob of the operator as it lies in memory, `bytes` long.
static inline SparsesepStatus sparsesep_get_blob(const SparsesepHost* host,
                                                 SparsesepTensor* blob,
                                                 size_t* bytes) {
  const SparsesepStatus found =
      host->get_tensor(host, SPARSESEP_SLOT_WEIGHTS, blob);
  if (found != SPARSESEP_OK) return found;
  // Kernels read words in place: the model file aligns the blob, and the
  // caller must not have loaded the file at an odd address.
  if (blob->type != SPARSESEP_TENSOR_UINT8 || blob->data == NULL ||
      blob->rank != 1 || blob->dims[0] <= 0 ||
      (uintptr_t)blob->data % sizeof(uint32_t) != 0) {
    return SPARSESEP_BAD_TENSOR;
  }
  *bytes = (size_t)blob->dims[0];
  return SPARSESEP_OK;
}

#endif  // SPARSESEP_IMAGE_TENSORS_H_
