#include "sparsesep/compiler.h"
#include "sparsesep/sparse_conv.h"

SPARSESEP_COLD_SHARED
static int32_t output_size(uint32_t padding, int32_t input, uint32_t kernel,
                           uint32_t dilation, uint32_t stride, int32_t* pad) {
  return sparsesep_conv_output_size((int)padding, input,
                                    (int32_t)((kernel - 1) * dilation + 1),
                                    (int32_t)stride, pad);
}

SPARSESEP_COLD
SparsesepStatus sparsesep_sparse_conv_shape(const SparsesepSparseConv* conv,
                                            SparsesepConvShape* shape) {
  // Room for the reach of any window, whatever the tensors claim.
  const int32_t most = INT32_MAX / 2;
  if (shape->batch < 1 || shape->input_height < 1 || shape->input_width < 1 ||
      shape->input_height > most || shape->input_width > most) {
    return SPARSESEP_BAD_TENSOR;
  }
  shape->output_height =
      output_size(conv->padding, shape->input_height, conv->kernel_height,
                  conv->dilation_height, conv->stride_height, &shape->pad_top);
  shape->output_width =
      output_size(conv->padding, shape->input_width, conv->kernel_width,
                  conv->dilation_width, conv->stride_width, &shape->pad_left);
  return shape->output_height > 0 && shape->output_width > 0
             ? SPARSESEP_OK
             : SPARSESEP_BAD_TENSOR;
}
