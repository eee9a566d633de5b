// CONV_2D and DEPTHWISE_CONV_2D on OpenCL.
#include <stdlib.h>

#include "graph/dense_layer.h"
#include "opencl/operation.h"
#include "opencl/sources.h"

// A layer by its kernels and their sizes.
typedef struct Layer {
  const char* source;
  const char* int8_kernel;
  const char* float_kernel;
  TfLiteFusedActivation activation;
  int32_t units;
  int32_t sizes[15];  // what follows the buffers
} Layer;

typedef struct Window {
  TfLitePadding padding;
  int32_t stride[2];
  int32_t dilation[2];
} Window;

static void set_window(const SparsesepOpenclNode* node, const int* weights,
                       const Window* window, Layer* layer) {
  const int32_t* in = node->input->shape.dims;
  const int32_t* out = node->output->shape.dims;
  int32_t pad[2];
  for (int i = 0; i < 2; ++i) {
    sparsesep_window_output(window->padding, in[1 + i],
                            (weights[1 + i] - 1) * window->dilation[i] + 1,
                            window->stride[i], &pad[i]);
  }
  const int32_t sizes[15] = {in[0],
                             in[1],
                             in[2],
                             in[3],
                             out[1],
                             out[2],
                             out[3],
                             weights[1],
                             weights[2],
                             window->stride[0],
                             window->stride[1],
                             window->dilation[0],
                             window->dilation[1],
                             pad[0],
                             pad[1]};
  for (int i = 0; i < 15; ++i) layer->sizes[i] = sizes[i];
  layer->units = out[3];
}

static Layer conv_2d(const SparsesepOpenclNode* node, const int* weights) {
  const TfLiteConvParams* p = node->operation->parameters;
  const Window window = {p->padding,
                         {p->stride_height, p->stride_width},
                         {p->dilation_height_factor, p->dilation_width_factor}};
  Layer layer = {sparsesep_cl_conv_2d,
                 "conv_2d_int8",
                 "conv_2d_float",
                 p->activation,
                 0,
                 {0}};
  set_window(node, weights, &window, &layer);
  return layer;
}

static Layer depthwise_conv_2d(const SparsesepOpenclNode* node,
                               const int* weights) {
  const TfLiteDepthwiseConvParams* p = node->operation->parameters;
  const Window window = {p->padding,
                         {p->stride_height, p->stride_width},
                         {p->dilation_height_factor, p->dilation_width_factor}};
  Layer layer = {sparsesep_cl_depthwise_conv_2d,
                 "depthwise_conv_2d_int8",
                 "depthwise_conv_2d_float",
                 p->activation,
                 0,
                 {0}};
  set_window(node, weights, &window, &layer);
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
  sparsesep_add_node_step(node, layer->source, layer->int8_kernel);
  sparsesep_add_buffer_argument(
      runner, sparsesep_add_constant(runner, weights->data, weights->bytes));
  for (int i = 0; i < 3; ++i) {
    sparsesep_add_buffer_argument(
        runner, sparsesep_add_constant(runner, constants[i], bytes));
  }
  sparsesep_add_output_argument(node);
  sparsesep_add_int_arguments(runner, 15, layer->sizes);
  const int32_t last[] = {numbers.input_zero_point, numbers.output_zero_point,
                          numbers.limits.min, numbers.limits.max};
  sparsesep_add_int_arguments(runner, 4, last);
  free(numbers.bias);
}

static void add_float(const SparsesepOpenclNode* node, const Layer* layer) {
  SparsesepOpenclRunner* runner = node->runner;
  const TfLiteTensor* weights = sparsesep_node_input(node, 1);
  const TfLiteTensor* bias = sparsesep_node_input(node, 2);
  const SparsesepFloatLimits limits = sparsesep_float_limits(layer->activation);
  const size_t bytes = (size_t)layer->units * sizeof(float);
  float* zeros = calloc((size_t)layer->units, sizeof(float));
  if (zeros == NULL) {
    sparsesep_opencl_fail(runner, "out of memory", 0);
    return;
  }
  sparsesep_add_node_step(node, layer->source, layer->float_kernel);
  sparsesep_add_buffer_argument(
      runner, sparsesep_add_floats(runner, weights->data, weights->bytes / 4));
  sparsesep_add_buffer_argument(
      runner,
      sparsesep_add_constant(runner, bias == NULL ? zeros : bias->data, bytes));
  sparsesep_add_output_argument(node);
  sparsesep_add_int_arguments(runner, 15, layer->sizes);
  sparsesep_add_float_argument(runner, limits.min);
  sparsesep_add_float_argument(runner, limits.max);
  free(zeros);
}

void sparsesep_opencl_convolution(const SparsesepOpenclNode* node) {
  const int* weights = sparsesep_node_input(node, 1)->dims->data;
  const int32_t* out = node->output->shape.dims;
  const Layer layer = node->operation->kind == SPARSESEP_CONV_2D
                          ? conv_2d(node, weights)
                          : depthwise_conv_2d(node, weights);
  if (node->input->type == kTfLiteInt8) {
    add_int8(node, &layer);
  } else {
    add_float(node, &layer);
  }
  sparsesep_set_items(node->runner, layer.units, out[2],
                      (int64_t)out[0] * out[1]);
}
