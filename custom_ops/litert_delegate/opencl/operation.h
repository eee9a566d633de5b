// Operators on OpenCL: each kind adds its kernels to a runner.
#ifndef SPARSESEP_DELEGATE_OPENCL_OPERATION_H_
#define SPARSESEP_DELEGATE_OPENCL_OPERATION_H_

#include "opencl/runner.h"

// One operator and its tensors during preparation.
typedef struct SparsesepOpenclNode {
  SparsesepOpenclRunner* runner;
  TfLiteContext* context;
  const SparsesepOperation* operation;
  const SparsesepPartitionTensor* input;
  const SparsesepPartitionTensor* output;
} SparsesepOpenclNode;

typedef void (*SparsesepAddOperation)(const SparsesepOpenclNode* node);

void sparsesep_opencl_sparse_fully_connected(const SparsesepOpenclNode* node);
void sparsesep_opencl_separable_conv_2d(const SparsesepOpenclNode* node);
void sparsesep_opencl_sparse_conv_2d(const SparsesepOpenclNode* node);
void sparsesep_opencl_fully_connected(const SparsesepOpenclNode* node);
void sparsesep_opencl_convolution(const SparsesepOpenclNode* node);
void sparsesep_opencl_pool_2d(const SparsesepOpenclNode* node);
void sparsesep_opencl_arithmetic(const SparsesepOpenclNode* node);
void sparsesep_opencl_function(const SparsesepOpenclNode* node);
void sparsesep_opencl_softmax(const SparsesepOpenclNode* node);
void sparsesep_opencl_movement(const SparsesepOpenclNode* node);

// Checks that local memory has room for a SEPARABLE_CONV_2D.
bool sparsesep_opencl_fits_separable(const SparsesepOpenclDevice* device,
                                     const TfLiteTensor* blob);

static inline const TfLiteTensor* sparsesep_node_input(
    const SparsesepOpenclNode* node, int position) {
  return sparsesep_tensor_of(node->context, node->operation->inputs, position);
}

static inline const TfLiteTensor* sparsesep_node_output(
    const SparsesepOpenclNode* node) {
  return sparsesep_tensor_of(node->context, node->operation->outputs, 0);
}

// Adds a kernel with the node's input as its first argument.
static inline void sparsesep_add_node_step(const SparsesepOpenclNode* node,
                                           const char* source,
                                           const char* kernel) {
  sparsesep_add_step(node->runner, source, "", kernel);
  sparsesep_add_buffer_argument(node->runner,
                                sparsesep_buffer_of(node->runner, node->input));
}

// Returns the build option of kernels that move elements of the node's type.
static inline const char* sparsesep_element_option(
    const SparsesepOpenclNode* node) {
  const size_t bytes =
      sparsesep_opencl_element_bytes(node->runner, node->output->type);
  return bytes == 1   ? " -DELEMENT=char"
         : bytes == 2 ? " -DELEMENT=short"
                      : " -DELEMENT=int";
}

// Returns the bias of a float32 layer, zeros if the model has none.
static inline cl_mem sparsesep_add_bias(const SparsesepOpenclNode* node,
                                        int32_t units) {
  const TfLiteTensor* bias = sparsesep_node_input(node, 2);
  return sparsesep_add_constant(node->runner, bias == NULL ? NULL : bias->data,
                                (size_t)units * sizeof(float));
}

static inline void sparsesep_add_output_argument(
    const SparsesepOpenclNode* node) {
  sparsesep_add_buffer_argument(
      node->runner, sparsesep_buffer_of(node->runner, node->output));
}

#endif  // SPARSESEP_DELEGATE_OPENCL_OPERATION_H_
