// ADD and MUL on OpenCL.
#include "opencl/operators/arithmetic.h"

#include "opencl/sources.h"

enum { kDims = 6 };

// Copies dimensions, with leading ones up to kDims.
static void set_dims(const SparsesepShape* shape, int32_t* dims) {
  for (int d = 0; d < kDims; ++d) {
    const int32_t from = d - (kDims - shape->rank);
    dims[d] = from < 0 ? 1 : shape->dims[from];
  }
}

// Computes the stride of an input along each dimension of the output.
static void set_strides(const SparsesepShape* shape, int32_t* strides) {
  int32_t stride = 1;
  int32_t dims[kDims];
  set_dims(shape, dims);
  for (int d = kDims - 1; d >= 0; --d) {
    strides[d] = dims[d] == 1 ? 0 : stride;
    stride *= dims[d];
  }
}

static cl_mem operand_buffer(const SparsesepOpenclNode* node,
                             const SparsesepPartitionTensor* tensor) {
  SparsesepOpenclRunner* runner = node->runner;
  const TfLiteTensor* source = &node->context->tensors[tensor->index];
  if (!tensor->constant) return sparsesep_buffer_of(runner, tensor);
  return tensor->type == kTfLiteInt8
             ? sparsesep_add_constant(runner, source->data, source->bytes)
             : sparsesep_add_floats(runner, source->data, source->bytes / 4);
}

// Adds a kernel with its arguments up to `shape`; returns the elements of the
// output.
static int32_t open_step(const SparsesepOpenclNode* node, const char* kernel,
                         const SparsesepPartitionTensor* const operands[2]) {
  SparsesepOpenclRunner* runner = node->runner;
  const int32_t count = (int32_t)sparsesep_element_count(&node->output->shape);
  int32_t shape[3 * kDims];
  cl_mem buffers[2];
  set_dims(&node->output->shape, shape);
  for (int i = 0; i < 2; ++i) {
    set_strides(&operands[i]->shape, shape + (1 + i) * kDims);
    buffers[i] = operand_buffer(node, operands[i]);
  }
  cl_mem sizes = sparsesep_add_constant(runner, shape, sizeof(shape));
  sparsesep_add_step(runner, sparsesep_cl_arithmetic, "", kernel);
  sparsesep_set_items(runner, count, 1, 1);
  sparsesep_add_buffer_argument(runner, buffers[0]);
  sparsesep_add_buffer_argument(runner, buffers[1]);
  sparsesep_add_buffer_argument(runner, sizes);
  return count;
}

void sparsesep_add_int8_arithmetic(
    const SparsesepOpenclNode* node, const char* kernel,
    const SparsesepPartitionTensor* const operands[2],
    const SparsesepArithmetic* numbers) {
  SparsesepOpenclRunner* runner = node->runner;
  const int32_t count = open_step(node, kernel, operands);
  sparsesep_add_buffer_argument(
      runner, sparsesep_add_constant(runner, numbers, sizeof(*numbers)));
  sparsesep_add_output_argument(node);
  sparsesep_add_int_arguments(runner, 1, &count);
}

static void add_float(const SparsesepOpenclNode* node, const char* kernel,
                      const SparsesepPartitionTensor* const operands[2],
                      TfLiteFusedActivation activation) {
  const int32_t count = open_step(node, kernel, operands);
  sparsesep_add_output_argument(node);
  sparsesep_add_int_arguments(node->runner, 1, &count);
  sparsesep_add_float_limits(node->runner, activation);
}

static SparsesepMultiplier multiplier_of(double real) {
  SparsesepMultiplier number;
  sparsesep_quantize_multiplier(real, &number.multiplier, &number.shift);
  return number;
}

// Reads the numbers of an ADD or MUL.
static SparsesepArithmetic read_numbers(const SparsesepOpenclNode* node,
                                        TfLiteFusedActivation activation) {
  const TfLiteQuantizationParams a = sparsesep_node_input(node, 0)->params;
  const TfLiteQuantizationParams b = sparsesep_node_input(node, 1)->params;
  const TfLiteQuantizationParams out = sparsesep_node_output(node)->params;
  SparsesepArithmetic numbers = {
      .zero_points = {a.zero_point, b.zero_point, out.zero_point},
      .limits = sparsesep_int8_limits(activation, out),
  };
  if (node->operation->kind == SPARSESEP_MUL) {
    numbers.multipliers[0] =
        multiplier_of((double)a.scale * (double)b.scale / (double)out.scale);
    return numbers;
  }
  const double twice = 2.0 * (double)(a.scale > b.scale ? a.scale : b.scale);
  numbers.multipliers[0] = multiplier_of((double)a.scale / twice);
  numbers.multipliers[1] = multiplier_of((double)b.scale / twice);
  numbers.multipliers[2] =
      multiplier_of(twice / ((double)(1 << 20) * (double)out.scale));
  return numbers;
}

void sparsesep_opencl_arithmetic(const SparsesepOpenclNode* node) {
  const SparsesepPartition* partition = node->runner->partition;
  const TfLiteArithmeticParams* p = node->operation->parameters;
  const bool adds = node->operation->kind == SPARSESEP_ADD;
  const SparsesepPartitionTensor* const operands[] = {
      sparsesep_partition_input(partition, node->operation, 0),
      sparsesep_partition_input(partition, node->operation, 1)};
  if (node->output->type == kTfLiteInt8) {
    const SparsesepArithmetic numbers = read_numbers(node, p->activation);
    sparsesep_add_int8_arithmetic(node, adds ? "add_int8" : "mul_int8",
                                  operands, &numbers);
  } else {
    add_float(node, adds ? "add_float" : "mul_float", operands, p->activation);
  }
}
