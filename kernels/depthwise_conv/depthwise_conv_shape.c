#include "sparsesep/compiler.h"
#include "sparsesep/depthwise_conv.h"

SPARSESEP_COLD
SparsesepStatus sparsesep_depthwise_conv_shape(
    const SparsesepDepthwiseConv* conv, SparsesepConvShape* shape) {
  // Room for padding, whatever the tensors claim.
  const int32_t most = INT32_MAX / 2;
  if (shape->batch < 1 || shape->input_height < 1 || shape->input_width < 1 ||
      shape->input_height > most || shape->input_width > most) {
    return SPARSESEP_BAD_TENSOR;
  }
  shape->output_height = sparsesep_conv_output_size(
      conv->padding, shape->input_height,
      (conv->kernel_height - 1) * conv->dilation_height + 1,
      conv->stride_height, &shape->pad_top);
  shape->output_width = sparsesep_conv_output_size(
      conv->padding, shape->input_width,
      (conv->kernel_width - 1) * conv->dilation_width + 1, conv->stride_width,
      &shape->pad_left);
  return shape->output_height > 0 && shape->output_width > 0
             ? SPARSESEP_OK
             : SPARSESEP_BAD_TENSOR;
}
