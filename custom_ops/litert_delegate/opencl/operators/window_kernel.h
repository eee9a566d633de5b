// The kernels of convolutions over windows (kernels/opencl/window.cl).
#ifndef SPARSESEP_DELEGATE_OPENCL_OPERATORS_WINDOW_KERNEL_H_
#define SPARSESEP_DELEGATE_OPENCL_OPERATORS_WINDOW_KERNEL_H_

#include "graph/dense_layer.h"
#include "opencl/operation.h"
#include "sparsesep/conv_shape.h"
#include "sparsesep/depthwise_conv.h"

// WINDOW_ARGUMENTS of window.cl, in its order.
typedef struct SparsesepWindowSizes {
  int32_t batch;
  int32_t input[3];   // height, width, channels
  int32_t output[3];  // height, width, units
  int32_t kernel[2];  // height, width, as the next three
  int32_t stride[2];
  int32_t dilation[2];
  int32_t pad[2];  // above and to the left of the first window
} SparsesepWindowSizes;

typedef struct SparsesepWindowKernel {
  const char* source;
  const char* name;
  cl_mem output;
  SparsesepWindowSizes sizes;
} SparsesepWindowKernel;

// Adds an int8 kernel on the node's input. `weights` are in the kernel's order.
void sparsesep_add_int8_window(const SparsesepOpenclNode* node,
                               const SparsesepWindowKernel* kernel,
                               const SparsesepInt8Layer* layer,
                               const void* weights, size_t bytes);

// Adds the kernels of a SEPARABLE_CONV_2D whose blob is a depthwise convolution
// or block.
void sparsesep_add_depthwise_blob(const SparsesepOpenclNode* node,
                                  const SparsesepDepthwiseConv* conv,
                                  const SparsesepConvShape* shape);

#endif  // SPARSESEP_DELEGATE_OPENCL_OPERATORS_WINDOW_KERNEL_H_
