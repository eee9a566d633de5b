// What the fuzzers of convolutions share: an accepted blob runs on a random
// image.
#ifndef SPARSESEP_TESTS_FUZZ_IMAGES_H_
#define SPARSESEP_TESTS_FUZZ_IMAGES_H_

#include "fuzz_blobs.h"
#include "host/host_port.h"
#include "sparsesep/sparse_conv.h"

// What an operator gets as its third input.
typedef enum ThirdInput {
  THIRD_ABSENT,
  THIRD_LIKE_OUTPUT,
  THIRD_OTHER_TYPE,
  THIRD_OTHER_SHAPE,
  THIRD_OTHER_RANK,
  THIRD_KINDS,
} ThirdInput;

// Returns the third input, in memory of its exact size; fills in its shape.
static SparsesepTensor third_input(ThirdInput kind, const int32_t* output_shape,
                                   int32_t* shape) {
  static const SparsesepTensorType others[] = {
      SPARSESEP_TENSOR_OTHER, SPARSESEP_TENSOR_UINT8, SPARSESEP_TENSOR_FLOAT32};
  SparsesepTensor tensor = {NULL, shape, 4, SPARSESEP_TENSOR_INT8};
  if (kind == THIRD_ABSENT) return (SparsesepTensor){NULL, NULL, 0, 0};
  memcpy(shape, output_shape, 4 * sizeof(*shape));
  if (kind == THIRD_OTHER_TYPE) tensor.type = others[next_random() % 3];
  if (kind == THIRD_OTHER_RANK) tensor.rank = (int32_t)(next_random() % 4);
  if (kind == THIRD_OTHER_SHAPE) {
    int32_t* dim = &shape[next_random() % 4];
    *dim += *dim > 1 && next_random() % 2 ? -1 : 1;
  }
  size_t bytes = 1;
  for (int32_t i = 0; i < tensor.rank; ++i) bytes *= (size_t)shape[i];
  tensor.data = malloc(bytes);
  if (tensor.data == NULL) exit(2);
  fill_random(tensor.data, bytes);
  return tensor;
}

// Returns what the operator `op_name` returns. Shapes are batch, height, width,
// channels; all tensors have exactly their size. Weights may be pages in
// `memory`: then the layer is evaluated twice.
static SparsesepStatus run_on_image(const char* op_name, const uint8_t* blob,
                                    size_t size, int is_float,
                                    const int32_t* input_shape,
                                    const int32_t* output_shape,
                                    ThirdInput third,
                                    const SparsesepExternalMemory* memory) {
  int32_t third_shape[4];
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
  // By SparsesepTensorSlot.
  const SparsesepTensor tensors[SPARSESEP_SLOTS] = {
      {input, input_shape, 4, type},
      {(void*)(uintptr_t)blob, &blob_bytes, 1, SPARSESEP_TENSOR_UINT8},
      {output, output_shape, 4, type},
      third_input(third, output_shape, third_shape),
  };
  const SparsesepStatus status = sparsesep_host_run(
      op_name, NULL, 0, tensors, memory, memory == NULL ? 1 : 2, NULL);
  free(input);
  free(output);
  free(tensors[SPARSESEP_SLOT_RESIDUAL].data);
  return status;
}

// Returns a third input that is the right one every other time.
static ThirdInput random_third(void) {
  return next_random() % 2 ? THIRD_LIKE_OUTPUT
                           : (ThirdInput)(next_random() % THIRD_KINDS);
}

// Whether a sparse convolution may take a third input. `blob` has a header.
static int fits_third(const uint8_t* blob, ThirdInput third) {
  SparsesepSparseConv conv;
  memcpy(&conv, blob, sizeof(conv));
  return third == THIRD_LIKE_OUTPUT || !sparsesep_has_residual(&conv);
}

#endif  // SPARSESEP_TESTS_FUZZ_IMAGES_H_
