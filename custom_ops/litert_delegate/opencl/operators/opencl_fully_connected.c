#include <stdlib.h>
#include <string.h>

#include "graph/dense_layer.h"
#include "opencl/row_kernel.h"
#include "opencl/sources.h"

static SparsesepRowKernel open_kernel(const SparsesepOpenclNode* node,
                                      const char* name, int32_t rows,
                                      int32_t cols, cl_mem weights) {
  const int64_t outputs = sparsesep_element_count(&node->output->shape);
  SparsesepRowKernel kernel = {.source = sparsesep_cl_fully_connected,
                               .name = name,
                               .is_float = node->input->type == kTfLiteFloat32,
                               .tile_rows = 1,
                               .tile_cols = 16,
                               .groups = rows,
                               .batch = outputs / rows,
                               .step = cols,
                               .cols = cols,
                               .weights = (int64_t)rows * cols};
  sparsesep_add_row_buffer(&kernel,
                           sparsesep_buffer_of(node->runner, node->input));
  sparsesep_add_row_buffer(&kernel, weights);
  return kernel;
}

// Pads rows with zeros to whole chunks of 16.
static cl_mem add_weights(SparsesepOpenclRunner* runner,
                          const TfLiteTensor* weights, size_t cols) {
  const int8_t* data = weights->data;
  const size_t rows = weights->bytes / cols;
  const size_t stride = (cols + 15) / 16 * 16;
  int8_t* filled = calloc(rows, stride);
  if (filled == NULL) {
    sparsesep_opencl_fail(runner, "out of memory", 0);
    return NULL;
  }
  for (size_t row = 0; row < rows; ++row) {
    memcpy(filled + row * stride, data + row * cols, cols);
  }
  cl_mem buffer = sparsesep_add_constant(runner, filled, rows * stride);
  free(filled);
  return buffer;
}

static void add_int8(const SparsesepOpenclNode* node, int32_t rows,
                     int32_t cols, TfLiteFusedActivation activation) {
  SparsesepOpenclRunner* runner = node->runner;
  const TfLiteTensor* weights = sparsesep_node_input(node, 1);
  SparsesepInt8Layer numbers;
  if (!sparsesep_read_int8_layer(node->context, node->operation, rows,
                                 activation, &numbers)) {
    sparsesep_opencl_fail(runner, "out of memory", 0);
    return;
  }
  sparsesep_fold_zero_point(&numbers, weights->data, rows, cols);
  SparsesepRowKernel kernel =
      open_kernel(node, "fully_connected_int8", rows, cols,
                  add_weights(runner, weights, (size_t)cols));
  const void* constants[] = {numbers.bias, numbers.multiplier, numbers.shift};
  for (int i = 0; i < 3; ++i) {
    sparsesep_add_row_buffer(
        &kernel, sparsesep_add_constant(runner, constants[i],
                                        (size_t)rows * sizeof(int32_t)));
  }
  sparsesep_add_row_buffer(&kernel, sparsesep_buffer_of(runner, node->output));
  const int32_t arguments[] = {(int32_t)kernel.batch,
                               rows,
                               cols,
                               numbers.output_zero_point,
                               numbers.limits.min,
                               numbers.limits.max};
  sparsesep_add_row_ints(&kernel, 6, arguments);
  sparsesep_add_row_step(node, &kernel);
  free(numbers.bias);
}

static void add_float(const SparsesepOpenclNode* node, int32_t rows,
                      int32_t cols, TfLiteFusedActivation activation) {
  SparsesepOpenclRunner* runner = node->runner;
  const TfLiteTensor* weights = sparsesep_node_input(node, 1);
  const SparsesepFloatLimits limits = sparsesep_float_limits(activation);
  SparsesepRowKernel kernel = open_kernel(
      node, "fully_connected_float", rows, cols,
      sparsesep_add_floats(runner, weights->data, weights->bytes / 4));
  sparsesep_add_row_buffer(&kernel, sparsesep_add_bias(node, rows));
  sparsesep_add_row_buffer(&kernel, sparsesep_buffer_of(runner, node->output));
  const int32_t arguments[] = {(int32_t)kernel.batch, rows, cols};
  sparsesep_add_row_ints(&kernel, 3, arguments);
  sparsesep_add_row_float(&kernel, limits.min);
  sparsesep_add_row_float(&kernel, limits.max);
  sparsesep_add_row_step(node, &kernel);
}

void sparsesep_opencl_fully_connected(const SparsesepOpenclNode* node) {
  const TfLiteFullyConnectedParams* parameters = node->operation->parameters;
  const int* weights = sparsesep_node_input(node, 1)->dims->data;
  if (node->input->type == kTfLiteInt8) {
    add_int8(node, weights[0], weights[1], parameters->activation);
  } else {
    add_float(node, weights[0], weights[1], parameters->activation);
  }
}
