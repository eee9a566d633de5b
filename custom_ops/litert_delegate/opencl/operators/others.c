// Pools, elementwise functions and SOFTMAX on OpenCL.
#include <float.h>

#include "graph/quantization.h"
#include "graph/window.h"
#include "opencl/operation.h"
#include "opencl/sources.h"

void sparsesep_opencl_pool_2d(const SparsesepOpenclNode* node) {
  SparsesepOpenclRunner* runner = node->runner;
  const SparsesepWindow window = sparsesep_read_window(node->operation, NULL);
  const int32_t* in = node->input->shape.dims;
  const int32_t* out = node->output->shape.dims;
  const bool largest = node->operation->kind == SPARSESEP_MAX_POOL_2D;
  const bool quantized = node->input->type == kTfLiteInt8;
  static const char* const kernels[2][2] = {
      {"average_pool_2d_float", "average_pool_2d_int8"},
      {"max_pool_2d_float", "max_pool_2d_int8"}};
  int32_t pad[2];
  for (int i = 0; i < 2; ++i) {
    sparsesep_window_output(&window, i, in[1 + i], &pad[i]);
  }
  const int32_t sizes[] = {in[1],
                           in[2],
                           in[3],
                           out[1],
                           out[2],
                           window.kernel[0],
                           window.kernel[1],
                           window.stride[0],
                           window.stride[1],
                           pad[0],
                           pad[1]};
  sparsesep_add_node_step(node, sparsesep_cl_pool_2d,
                          kernels[largest][quantized]);
  sparsesep_add_output_argument(node);
  sparsesep_add_int_arguments(runner, 11, sizes);
  if (quantized) {
    const SparsesepLimits limits = sparsesep_int8_limits(
        window.activation, sparsesep_node_output(node)->params);
    const int32_t values[] = {limits.min, limits.max};
    sparsesep_add_int_arguments(runner, 2, values);
  } else {
    sparsesep_add_float_limits(runner, window.activation);
  }
  sparsesep_set_items(runner, in[3], out[2], (int64_t)out[0] * out[1]);
}

// Returns the limits of a RELU of any kind, in steps of its input.
static SparsesepLimits relu_limits(SparsesepOperationKind kind,
                                   TfLiteQuantizationParams params) {
  if (kind == SPARSESEP_RELU6) {
    return sparsesep_int8_limits(kTfLiteActRelu6, params);
  }
  SparsesepLimits limits = sparsesep_int8_limits(kTfLiteActReluN1To1, params);
  if (kind == SPARSESEP_RELU_0_TO_1) limits.min = params.zero_point;
  return limits;
}

static void fill_table(const SparsesepOpenclNode* node, int8_t* table) {
  const TfLiteQuantizationParams in = sparsesep_node_input(node, 0)->params;
  const TfLiteQuantizationParams out = sparsesep_node_output(node)->params;
  switch (node->operation->kind) {
    case SPARSESEP_LOGISTIC:
      sparsesep_logistic_table(in, table);
      break;
    case SPARSESEP_RELU:
      sparsesep_relu_table(in, out, table);
      break;
    case SPARSESEP_QUANTIZE:
      sparsesep_requantize_table(in, out, table);
      break;
    default:
      sparsesep_clamp_table(relu_limits(node->operation->kind, in), table);
  }
}

static void add_count(const SparsesepOpenclNode* node) {
  const int32_t count = (int32_t)sparsesep_element_count(&node->input->shape);
  sparsesep_add_int_arguments(node->runner, 1, &count);
  sparsesep_set_items(node->runner, count, 1, 1);
}

static void add_table(const SparsesepOpenclNode* node) {
  int8_t table[256];
  fill_table(node, table);
  sparsesep_add_node_step(node, sparsesep_cl_function, "table_int8");
  sparsesep_add_buffer_argument(
      node->runner, sparsesep_add_constant(node->runner, table, sizeof(table)));
  sparsesep_add_output_argument(node);
  add_count(node);
}

// Adds QUANTIZE of floats or DEQUANTIZE, with the int8 tensor's
// quantization.
static void add_conversion(const SparsesepOpenclNode* node) {
  const bool quantizes = node->operation->kind == SPARSESEP_QUANTIZE;
  const TfLiteTensor* quantized =
      quantizes ? sparsesep_node_output(node) : sparsesep_node_input(node, 0);
  sparsesep_add_node_step(node, sparsesep_cl_function,
                          quantizes ? "quantize" : "dequantize");
  sparsesep_add_output_argument(node);
  add_count(node);
  sparsesep_add_int_arguments(node->runner, 1, &quantized->params.zero_point);
  sparsesep_add_float_argument(node->runner, quantized->params.scale);
}

static void add_float_function(const SparsesepOpenclNode* node) {
  const SparsesepOperationKind kind = node->operation->kind;
  const bool logistic = kind == SPARSESEP_LOGISTIC;
  sparsesep_add_node_step(node, sparsesep_cl_function,
                          logistic ? "logistic_float" : "clamp_float");
  sparsesep_add_output_argument(node);
  add_count(node);
  if (logistic) return;
  sparsesep_add_float_argument(node->runner,
                               kind == SPARSESEP_RELU_N1_TO_1 ? -1.0f : 0.0f);
  sparsesep_add_float_argument(node->runner, kind == SPARSESEP_RELU    ? FLT_MAX
                                             : kind == SPARSESEP_RELU6 ? 6.0f
                                                                       : 1.0f);
}

void sparsesep_opencl_function(const SparsesepOpenclNode* node) {
  const bool from_int8 = node->input->type == kTfLiteInt8;
  const bool to_int8 = node->output->type == kTfLiteInt8;
  if (from_int8 && to_int8) {
    add_table(node);
  } else if (from_int8 || to_int8) {
    add_conversion(node);
  } else {
    add_float_function(node);
  }
}

void sparsesep_opencl_softmax(const SparsesepOpenclNode* node) {
  SparsesepOpenclRunner* runner = node->runner;
  const TfLiteSoftmaxParams* p = node->operation->parameters;
  const SparsesepShape* shape = &node->input->shape;
  const int32_t depth = shape->dims[shape->rank - 1];
  const int32_t sizes[] = {(int32_t)(sparsesep_element_count(shape) / depth),
                           depth};
  if (node->input->type == kTfLiteInt8) {
    int32_t exps[256];
    sparsesep_softmax_table((double)p->beta,
                            (double)sparsesep_node_input(node, 0)->params.scale,
                            exps);
    sparsesep_add_node_step(node, sparsesep_cl_softmax, "softmax_int8");
    sparsesep_add_buffer_argument(
        runner, sparsesep_add_constant(runner, exps, sizeof(exps)));
    sparsesep_add_output_argument(node);
    sparsesep_add_int_arguments(runner, 2, sizes);
  } else {
    sparsesep_add_node_step(node, sparsesep_cl_softmax, "softmax_float");
    sparsesep_add_output_argument(node);
    sparsesep_add_int_arguments(runner, 2, sizes);
    sparsesep_add_float_argument(runner, p->beta);
  }
  sparsesep_set_items(runner, sizes[0], 1, 1);
}
