// CONV_2D and DEPTHWISE_CONV_2D on OpenCL.
#include <stdlib.h>
#include <string.h>

#include "graph/dense_layer.h"
#include "graph/window.h"
#include "opencl/operation.h"
#include "opencl/sources.h"

enum { kSizes = 15 };

// Parameters that int8 and float32 layers share.
typedef struct Layer {
  const char* source;
  const char* kernel;
  TfLiteFusedActivation activation;
  int32_t units;
  int32_t sizes[kSizes];  // kernel arguments after the buffers
} Layer;

static Layer read_layer(const SparsesepOpenclNode* node) {
  const int32_t* in = node->input->shape.dims;
  const int32_t* out = node->output->shape.dims;
  const SparsesepWindow window = sparsesep_read_window(
      node->operation, sparsesep_node_input(node, 1)->dims->data);
  int32_t pad[2];
  for (int i = 0; i < 2; ++i) {
    sparsesep_window_output(&window, i, in[1 + i], &pad[i]);
  }
  const int32_t sizes[kSizes] = {in[0],
                                 in[1],
                                 in[2],
                                 in[3],
                                 out[1],
                                 out[2],
                                 out[3],
                                 window.kernel[0],
                                 window.kernel[1],
                                 window.stride[0],
                                 window.stride[1],
                                 window.dilation[0],
                                 window.dilation[1],
                                 pad[0],
                                 pad[1]};
  static const char* const kernels[2][2] = {
      {"conv_2d_float", "conv_2d_int8"},
      {"depthwise_conv_2d_float", "depthwise_conv_2d_int8"}};
  const bool depthwise = node->operation->kind == SPARSESEP_DEPTHWISE_CONV_2D;
  Layer layer = {
      depthwise ? sparsesep_cl_depthwise_conv_2d : sparsesep_cl_conv_2d,
      kernels[depthwise][node->input->type == kTfLiteInt8],
      window.activation,
      out[3],
      {0}};
  memcpy(layer.sizes, sizes, sizeof(sizes));
  return layer;
}

static void add_int8(const SparsesepOpenclNode* node, const Layer* layer) {
  SparsesepOpenclRunner* runner = node->runner;
  const TfLiteTensor* weights = sparsesep_node_input(node, 1);
  SparsesepInt8Layer numbers;
  if (!sparsesep_read_int8_layer(node->context, node->operation, layer->units,
                                 layer->activation, &numbers)) {
    sparsesep_opencl_fail(runner, "out of memory", 0);
    return;
  }
  const size_t bytes = (size_t)layer->units * sizeof(int32_t);
  const void* constants[] = {numbers.bias, numbers.multiplier, numbers.shift};
  sparsesep_add_node_step(node, layer->source, layer->kernel);
  sparsesep_add_buffer_argument(
      runner, sparsesep_add_constant(runner, weights->data, weights->bytes));
  for (int i = 0; i < 3; ++i) {
    sparsesep_add_buffer_argument(
        runner, sparsesep_add_constant(runner, constants[i], bytes));
  }
  sparsesep_add_output_argument(node);
  sparsesep_add_int_arguments(runner, kSizes, layer->sizes);
  const int32_t last[] = {numbers.input_zero_point, numbers.output_zero_point,
                          numbers.limits.min, numbers.limits.max};
  sparsesep_add_int_arguments(runner, 4, last);
  free(numbers.bias);
}

static void add_float(const SparsesepOpenclNode* node, const Layer* layer) {
  SparsesepOpenclRunner* runner = node->runner;
  const TfLiteTensor* weights = sparsesep_node_input(node, 1);
  sparsesep_add_node_step(node, layer->source, layer->kernel);
  sparsesep_add_buffer_argument(
      runner, sparsesep_add_floats(runner, weights->data, weights->bytes / 4));
  sparsesep_add_buffer_argument(runner, sparsesep_add_bias(node, layer->units));
  sparsesep_add_output_argument(node);
  sparsesep_add_int_arguments(runner, kSizes, layer->sizes);
  sparsesep_add_float_limits(runner, layer->activation);
}

void sparsesep_opencl_convolution(const SparsesepOpenclNode* node) {
  const int32_t* out = node->output->shape.dims;
  const Layer layer = read_layer(node);
  if (node->input->type == kTfLiteInt8) {
    add_int8(node, &layer);
  } else {
    add_float(node, &layer);
  }
  sparsesep_set_items(node->runner, layer.units, out[2],
                      (int64_t)out[0] * out[1]);
}
