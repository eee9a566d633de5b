// CONV_2D and DEPTHWISE_CONV_2D on OpenCL.
#include <stdlib.h>
#include <string.h>

#include "graph/window.h"
#include "opencl/operators/window_kernel.h"
#include "opencl/sources.h"

static SparsesepWindowSizes read_sizes(const SparsesepOpenclNode* node,
                                       const SparsesepWindow* window) {
  const int32_t* in = node->input->shape.dims;
  const int32_t* out = node->output->shape.dims;
  SparsesepWindowSizes sizes = {.batch = in[0]};
  memcpy(sizes.input, in + 1, sizeof(sizes.input));
  memcpy(sizes.output, out + 1, sizeof(sizes.output));
  for (int i = 0; i < 2; ++i) {
    sizes.kernel[i] = window->kernel[i];
    sizes.stride[i] = window->stride[i];
    sizes.dilation[i] = window->dilation[i];
    sparsesep_window_output(window, i, in[1 + i], &sizes.pad[i]);
  }
  return sizes;
}

static SparsesepWindowKernel choose_kernel(const SparsesepOpenclNode* node,
                                           const SparsesepWindow* window) {
  static const char* const names[2][2] = {
      {"conv_2d_float", "conv_2d_int8"},
      {"depthwise_conv_2d_float", "depthwise_conv_2d_int8"}};
  const bool depthwise = node->operation->kind == SPARSESEP_DEPTHWISE_CONV_2D;
  return (SparsesepWindowKernel){
      depthwise ? sparsesep_cl_depthwise_conv_2d : sparsesep_cl_conv_2d,
      names[depthwise][node->input->type == kTfLiteInt8],
      sparsesep_buffer_of(node->runner, node->output),
      read_sizes(node, window)};
}

static void add_sizes(const SparsesepOpenclNode* node,
                      const SparsesepWindowKernel* kernel) {
  const SparsesepWindowSizes* sizes = &kernel->sizes;
  sparsesep_add_buffer_argument(node->runner, kernel->output);
  sparsesep_add_int_arguments(node->runner, sizeof(*sizes) / sizeof(int32_t),
                              (const int32_t*)sizes);
  sparsesep_set_items(node->runner, sizes->output[2], sizes->output[1],
                      (int64_t)sizes->batch * sizes->output[0]);
}

void sparsesep_add_int8_window(const SparsesepOpenclNode* node,
                               const SparsesepWindowKernel* kernel,
                               const SparsesepInt8Layer* layer,
                               const void* weights, size_t bytes) {
  SparsesepOpenclRunner* runner = node->runner;
  const int32_t* constants[] = {layer->bias, layer->multiplier, layer->shift};
  sparsesep_add_node_step(node, kernel->source, kernel->name);
  sparsesep_add_buffer_argument(runner,
                                sparsesep_add_constant(runner, weights, bytes));
  for (int i = 0; i < 3; ++i) {
    sparsesep_add_buffer_argument(
        runner, sparsesep_add_constant(
                    runner, constants[i],
                    (size_t)kernel->sizes.output[2] * sizeof(int32_t)));
  }
  add_sizes(node, kernel);
  const int32_t last[] = {layer->input_zero_point, layer->output_zero_point,
                          layer->limits.min, layer->limits.max};
  sparsesep_add_int_arguments(runner, 4, last);
}

static void add_int8(const SparsesepOpenclNode* node,
                     const SparsesepWindowKernel* kernel,
                     TfLiteFusedActivation activation) {
  const TfLiteTensor* weights = sparsesep_node_input(node, 1);
  SparsesepInt8Layer layer;
  if (!sparsesep_read_int8_layer(node->context, node->operation,
                                 kernel->sizes.output[2], activation, &layer)) {
    sparsesep_opencl_fail(node->runner, "out of memory", 0);
    return;
  }
  sparsesep_add_int8_window(node, kernel, &layer, weights->data,
                            weights->bytes);
  free(layer.bias);
}

static void add_float(const SparsesepOpenclNode* node,
                      const SparsesepWindowKernel* kernel,
                      TfLiteFusedActivation activation) {
  SparsesepOpenclRunner* runner = node->runner;
  const TfLiteTensor* weights = sparsesep_node_input(node, 1);
  sparsesep_add_node_step(node, kernel->source, kernel->name);
  sparsesep_add_buffer_argument(
      runner, sparsesep_add_floats(runner, weights->data, weights->bytes / 4));
  sparsesep_add_buffer_argument(
      runner, sparsesep_add_bias(node, kernel->sizes.output[2]));
  add_sizes(node, kernel);
  sparsesep_add_float_limits(runner, activation);
}

void sparsesep_opencl_convolution(const SparsesepOpenclNode* node) {
  const SparsesepWindow window = sparsesep_read_window(
      node->operation, sparsesep_node_input(node, 1)->dims->data);
  const SparsesepWindowKernel kernel = choose_kernel(node, &window);
  if (node->input->type == kTfLiteInt8) {
    add_int8(node, &kernel, window.activation);
  } else {
    add_float(node, &kernel, window.activation);
  }
}
