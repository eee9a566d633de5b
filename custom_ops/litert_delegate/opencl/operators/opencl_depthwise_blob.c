// The depthwise kinds of SEPARABLE_CONV_2D on OpenCL: the kernel of
// DEPTHWISE_CONV_2D, and in a block that of SPARSE_FULLY_CONNECTED on the
// pixels that it wrote. The intermediate feature map is whole, in a buffer of
// the device: work-groups of the second kernel read what those of the first
// wrote.
#include <stdlib.h>

#include "opencl/operators/sparse_rows.h"
#include "opencl/operators/window_kernel.h"
#include "opencl/sources.h"

static const void* section(const SparsesepDepthwiseConv* conv,
                           uint32_t offset) {
  return (const uint8_t*)conv + offset;
}

// The kernel leaves out padding, so that biases must not hold the input's zero
// point: folding its negative takes it out. `layer` has room for all units.
static void read_layer(const SparsesepDepthwiseConv* conv,
                       SparsesepInt8Layer* layer) {
  const int32_t units = (int32_t)sparsesep_depthwise_units(conv);
  const int32_t* bias = section(conv, conv->bias_offset);
  const int32_t* multiplier = section(conv, conv->multiplier_offset);
  const int8_t* shift = section(conv, conv->shift_offset);
  for (int32_t unit = 0; unit < units; ++unit) {
    layer->bias[unit] = bias[unit];
    layer->multiplier[unit] = multiplier[unit];
    layer->shift[unit] = shift[unit];
  }
  layer->input_zero_point = -conv->input_zero_point;
  sparsesep_fold_zero_point(layer, section(conv, conv->weights_offset), units,
                            conv->kernel_height * conv->kernel_width);
  layer->input_zero_point = conv->input_zero_point;
  layer->output_zero_point = conv->output_zero_point;
  layer->limits = (SparsesepLimits){conv->activation_min, conv->activation_max};
}

// [units][kernel width][kernel height] to [kernel height][kernel width][units].
static void reorder_weights(const SparsesepDepthwiseConv* conv,
                            int8_t* weights) {
  const int8_t* next = section(conv, conv->weights_offset);
  const size_t units = sparsesep_depthwise_units(conv);
  for (size_t unit = 0; unit < units; ++unit) {
    for (size_t x = 0; x < conv->kernel_width; ++x) {
      for (size_t y = 0; y < conv->kernel_height; ++y) {
        weights[(y * conv->kernel_width + x) * units + unit] = *next++;
      }
    }
  }
}

static void add_depthwise(const SparsesepOpenclNode* node,
                          const SparsesepDepthwiseConv* conv,
                          const SparsesepConvShape* shape, cl_mem output) {
  const size_t units = sparsesep_depthwise_units(conv);
  const size_t taps = (size_t)conv->kernel_height * conv->kernel_width;
  const SparsesepWindowKernel kernel = {
      sparsesep_cl_depthwise_conv_2d,
      "depthwise_conv_2d_int8",
      output,
      {shape->batch,
       {shape->input_height, shape->input_width, conv->channels},
       {shape->output_height, shape->output_width, (int32_t)units},
       {conv->kernel_height, conv->kernel_width},
       {conv->stride_height, conv->stride_width},
       {conv->dilation_height, conv->dilation_width},
       {shape->pad_top, shape->pad_left}}};
  int32_t* numbers = malloc(units * (3 * sizeof(int32_t) + taps));
  if (numbers == NULL) {
    sparsesep_opencl_fail(node->runner, "out of memory", 0);
    return;
  }
  SparsesepInt8Layer layer = {numbers, numbers + units, numbers + 2 * units, 0,
                              0,       {0, 0}};
  int8_t* weights = (int8_t*)(numbers + 3 * units);
  read_layer(conv, &layer);
  reorder_weights(conv, weights);
  sparsesep_add_int8_window(node, &kernel, &layer, weights, units * taps);
  free(numbers);
}

static void add_block(const SparsesepOpenclNode* node,
                      const SparsesepDepthwiseConv* conv,
                      const SparsesepConvShape* shape) {
  const int32_t pixels =
      shape->batch * shape->output_height * shape->output_width;
  const int64_t units = sparsesep_depthwise_units(conv);
  if (pixels > SPARSESEP_MAX_ELEMENTS / units) {
    sparsesep_opencl_fail(node->runner, "SEPARABLE_CONV_2D: image too large",
                          0);
    return;
  }
  SparsesepFullyConnectedParams params = conv->pointwise;
  params.input_step = (int32_t)units;
  const SparsesepVectors vectors = {
      sparsesep_add_buffer(node->runner, (size_t)(pixels * units)), pixels,
      pixels, 0, &params};
  add_depthwise(node, conv, shape, vectors.input);
  sparsesep_add_sparse_rows(node, sparsesep_depthwise_pointwise(conv),
                            &vectors);
}

void sparsesep_add_depthwise_blob(const SparsesepOpenclNode* node,
                                  const SparsesepDepthwiseConv* conv,
                                  const SparsesepConvShape* shape) {
  if (conv->kind == SPARSESEP_KIND_BLOCK) {
    add_block(node, conv, shape);
  } else {
    add_depthwise(node, conv, shape,
                  sparsesep_buffer_of(node->runner, node->output));
  }
}
