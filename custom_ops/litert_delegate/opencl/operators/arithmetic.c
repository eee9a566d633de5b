// ADD and MUL on OpenCL.
#include "graph/quantization.h"
#include "opencl/operation.h"
#include "opencl/sources.h"

enum { kDims = 6, kNumbers = 11 };

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

static void set_add_numbers(const TfLiteTensor* a, const TfLiteTensor* b,
                            const TfLiteTensor* out, int32_t* numbers) {
  const float larger =
      a->params.scale > b->params.scale ? a->params.scale : b->params.scale;
  const double twice = 2.0 * (double)larger;
  sparsesep_quantize_multiplier((double)a->params.scale / twice, &numbers[5],
                                &numbers[6]);
  sparsesep_quantize_multiplier((double)b->params.scale / twice, &numbers[7],
                                &numbers[8]);
  sparsesep_quantize_multiplier(
      twice / ((double)(1 << 20) * (double)out->params.scale), &numbers[9],
      &numbers[10]);
}

static void add_int8(const SparsesepOpenclNode* node, cl_mem shape) {
  SparsesepOpenclRunner* runner = node->runner;
  const TfLiteTensor* a = sparsesep_node_input(node, 0);
  const TfLiteTensor* b = sparsesep_node_input(node, 1);
  const TfLiteTensor* out = sparsesep_node_output(node);
  const TfLiteArithmeticParams* p = node->operation->parameters;
  const SparsesepLimits limits =
      sparsesep_int8_limits(p->activation, out->params);
  int32_t numbers[kNumbers] = {a->params.zero_point, b->params.zero_point,
                               out->params.zero_point, limits.min, limits.max};
  if (node->operation->kind == SPARSESEP_ADD) {
    set_add_numbers(a, b, out, numbers);
  } else {
    sparsesep_quantize_multiplier((double)a->params.scale *
                                      (double)b->params.scale /
                                      (double)out->params.scale,
                                  &numbers[5], &numbers[6]);
  }
  sparsesep_add_buffer_argument(runner, shape);
  sparsesep_add_buffer_argument(
      runner, sparsesep_add_constant(runner, numbers, sizeof(numbers)));
  sparsesep_add_output_argument(node);
}

static cl_mem operand(const SparsesepOpenclNode* node, int position) {
  SparsesepOpenclRunner* runner = node->runner;
  const SparsesepPartitionTensor* tensor =
      sparsesep_partition_input(runner->partition, node->operation, position);
  const TfLiteTensor* source = sparsesep_node_input(node, position);
  if (!tensor->constant) return sparsesep_buffer_of(runner, tensor);
  return tensor->type == kTfLiteInt8
             ? sparsesep_add_constant(runner, source->data, source->bytes)
             : sparsesep_add_floats(runner, source->data, source->bytes / 4);
}

void sparsesep_opencl_arithmetic(const SparsesepOpenclNode* node) {
  SparsesepOpenclRunner* runner = node->runner;
  const bool adds = node->operation->kind == SPARSESEP_ADD;
  const bool quantized = node->output->type == kTfLiteInt8;
  const int32_t count = (int32_t)sparsesep_element_count(&node->output->shape);
  static const char* const kernels[2][2] = {{"mul_float", "mul_int8"},
                                            {"add_float", "add_int8"}};
  int32_t shape[3 * kDims];
  set_dims(&node->output->shape, shape);
  for (int i = 0; i < 2; ++i) {
    set_strides(
        &sparsesep_partition_input(runner->partition, node->operation, i)
             ->shape,
        shape + (1 + i) * kDims);
  }
  cl_mem sizes = sparsesep_add_constant(runner, shape, sizeof(shape));
  cl_mem a = operand(node, 0);
  cl_mem b = operand(node, 1);
  sparsesep_add_step(runner, sparsesep_cl_arithmetic, "",
                     kernels[adds][quantized]);
  sparsesep_add_buffer_argument(runner, a);
  sparsesep_add_buffer_argument(runner, b);
  if (quantized) {
    add_int8(node, sizes);
    sparsesep_add_int_arguments(runner, 1, &count);
  } else {
    const TfLiteArithmeticParams* p = node->operation->parameters;
    sparsesep_add_buffer_argument(runner, sizes);
    sparsesep_add_output_argument(node);
    sparsesep_add_int_arguments(runner, 1, &count);
    sparsesep_add_float_limits(runner, p->activation);
  }
  sparsesep_set_items(runner, count, 1, 1);
}
