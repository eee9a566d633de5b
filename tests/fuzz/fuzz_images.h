// What the fuzzers of convolutions share: an accepted blob runs on a random
// image.
#ifndef SPARSESEP_TESTS_FUZZ_IMAGES_H_
#define SPARSESEP_TESTS_FUZZ_IMAGES_H_

#include "fuzz_blobs.h"
#include "host/host_port.h"

// Returns what the operator `op_name` returns. Shapes are batch, height, width,
// channels; both tensors have exactly their size. Weights may be pages in
// `memory`: then the layer is evaluated twice.
static SparsesepStatus run_on_image(const char* op_name, const uint8_t* blob,
                                    size_t size, int is_float,
                                    const int32_t* input_shape,
                                    const int32_t* output_shape,
                                    const SparsesepExternalMemory* memory) {
  size_t inputs = is_float ? sizeof(float) : 1;
  size_t outputs = inputs;
  for (int i = 0; i < 4; ++i) {
    inputs *= (size_t)input_shape[i];
    outputs *= (size_t)output_shape[i];
  }
  uint8_t* input = malloc(inputs);
  uint8_t* output = malloc(outputs);
  if (input == NULL || output == NULL) exit(2);
  fill_random(input, inputs);
  const SparsesepTensorType type =
      is_float ? SPARSESEP_TENSOR_FLOAT32 : SPARSESEP_TENSOR_INT8;
  const int32_t blob_bytes = (int32_t)size;
  const SparsesepTensor tensors[] = {
      {input, input_shape, 4, type},
      {(void*)(uintptr_t)blob, &blob_bytes, 1, SPARSESEP_TENSOR_UINT8},
      {output, output_shape, 4, type},
  };
  const SparsesepStatus status = sparsesep_host_run(
      op_name, NULL, 0, tensors, memory, memory == NULL ? 1 : 2, NULL);
  free(input);
  free(output);
  return status;
}

#endif  // SPARSESEP_TESTS_FUZZ_IMAGES_H_
