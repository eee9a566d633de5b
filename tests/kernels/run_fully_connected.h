// One SPARSE_FULLY_CONNECTED through the op core.
#ifndef SPARSESEP_TESTS_RUN_FULLY_CONNECTED_H_
#define SPARSESEP_TESTS_RUN_FULLY_CONNECTED_H_

#include "host/host_port.h"
#include "op_names.h"
#include "sparsesep/sparsesep.h"

// input[elements] and output[batch][rows] are float or int8. Weights may be
// pages in `memory`: then the layer is evaluated twice.
static inline SparsesepStatus run_fully_connected(
    const void* options, size_t options_bytes, const void* weights,
    size_t weights_bytes, int is_float, void* input, int32_t elements,
    void* output, int32_t rows, int32_t batch,
    const SparsesepExternalMemory* memory) {
  const SparsesepTensorType type =
      is_float ? SPARSESEP_TENSOR_FLOAT32 : SPARSESEP_TENSOR_INT8;
  const int32_t weights_dims[] = {(int32_t)weights_bytes};
  const int32_t output_dims[] = {batch, rows};
  const SparsesepTensor tensors[] = {
      {input, &elements, 1, type},
      {(void*)(uintptr_t)weights, weights_dims, 1, SPARSESEP_TENSOR_UINT8},
      {output, output_dims, 2, type},
  };
  return sparsesep_host_run(SPARSESEP_OP_SPARSE_FULLY_CONNECTED, options,
                            options_bytes, tensors, memory,
                            memory == NULL ? 1 : 2, NULL);
}

#endif  // SPARSESEP_TESTS_RUN_FULLY_CONNECTED_H_
