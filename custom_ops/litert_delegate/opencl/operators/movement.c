// PAD and CONCATENATION on OpenCL. RESHAPE needs no kernel: its output
// shares its input's memory.
#include "opencl/operation.h"
#include "opencl/sources.h"

enum { kDims = 6 };

// Copies `tensor` into the output at `offsets`.
static void add_copy(const SparsesepOpenclNode* node,
                     const SparsesepPartitionTensor* tensor,
                     const int32_t* offsets) {
  SparsesepOpenclRunner* runner = node->runner;
  const SparsesepShape* out = &node->output->shape;
  const int32_t count = (int32_t)sparsesep_element_count(&tensor->shape);
  int32_t dims[kDims] = {1, 1, 1, 1, 1, 1};
  int32_t strides[kDims] = {0};
  int32_t stride = 1;
  int32_t first = 0;
  for (int32_t d = out->rank - 1; d >= 0; --d) {
    dims[kDims - out->rank + d] = tensor->shape.dims[d];
    strides[kDims - out->rank + d] = stride;
    first += offsets[d] * stride;
    stride *= out->dims[d];
  }
  cl_mem shape = sparsesep_add_constant(runner, dims, sizeof(dims));
  cl_mem steps = sparsesep_add_constant(runner, strides, sizeof(strides));
  sparsesep_add_step(runner, sparsesep_cl_movement,
                     sparsesep_element_option(node), "copy_box");
  sparsesep_add_buffer_argument(runner, sparsesep_buffer_of(runner, tensor));
  sparsesep_add_buffer_argument(runner, shape);
  sparsesep_add_buffer_argument(runner, steps);
  sparsesep_add_output_argument(node);
  const int32_t numbers[] = {count, first};
  sparsesep_add_int_arguments(runner, 2, numbers);
  sparsesep_set_items(runner, count, 1, 1);
}

static void add_pad(const SparsesepOpenclNode* node) {
  SparsesepOpenclRunner* runner = node->runner;
  const TfLiteTensor* output = sparsesep_node_output(node);
  const int32_t* amounts = sparsesep_node_input(node, 1)->data;
  const int32_t count = (int32_t)sparsesep_element_count(&node->output->shape);
  const int32_t numbers[] = {
      count, output->type == kTfLiteInt8 ? output->params.zero_point : 0};
  int32_t offsets[SPARSESEP_MAX_RANK] = {0};
  sparsesep_add_step(runner, sparsesep_cl_movement,
                     sparsesep_element_option(node), "fill");
  sparsesep_add_output_argument(node);
  sparsesep_add_int_arguments(runner, 2, numbers);
  sparsesep_set_items(runner, count, 1, 1);
  for (int32_t d = 0; d < node->input->shape.rank; ++d) {
    offsets[d] = amounts[2 * d];
  }
  add_copy(node, node->input, offsets);
}

static void add_concatenation(const SparsesepOpenclNode* node) {
  const TfLiteConcatenationParams* p = node->operation->parameters;
  const int32_t rank = node->output->shape.rank;
  const int32_t axis = p->axis < 0 ? p->axis + rank : p->axis;
  int32_t offsets[SPARSESEP_MAX_RANK] = {0};
  for (int i = 0; i < node->operation->inputs->size; ++i) {
    const SparsesepPartitionTensor* input =
        sparsesep_partition_input(node->runner->partition, node->operation, i);
    add_copy(node, input, offsets);
    offsets[axis] += input->shape.dims[axis];
  }
}

void sparsesep_opencl_movement(const SparsesepOpenclNode* node) {
  if (node->operation->kind == SPARSESEP_PAD) add_pad(node);
  if (node->operation->kind == SPARSESEP_CONCATENATION) {
    add_concatenation(node);
  }
}
