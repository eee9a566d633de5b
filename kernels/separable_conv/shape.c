#include "sparsesep/compiler.h"
#include "sparsesep/separable_conv.h"

static int32_t output_size(const SparsesepConvStage* stage, int32_t input,
                           int32_t* pad) {
  return sparsesep_conv_output_size(stage->padding, input, stage->kernel,
                                    stage->stride, pad);
}

SPARSESEP_COLD
SparsesepStatus sparsesep_separable_conv_shape(
    const SparsesepSeparableConv* conv, SparsesepConvShape* shape) {
  // Room for 255 columns of padding, whatever the tensors claim.
  const int32_t most = INT32_MAX / 2;
  if (shape->batch < 1 || shape->input_height < 1 || shape->input_width < 1 ||
      shape->input_height > most || shape->input_width > most) {
    return SPARSESEP_BAD_TENSOR;
  }
  shape->output_height =
      output_size(&conv->vertical, shape->input_height, &shape->pad_top);
  shape->output_width =
      output_size(&conv->horizontal, shape->input_width, &shape->pad_left);
  return shape->output_height > 0 && shape->output_width > 0
             ? SPARSESEP_OK
             : SPARSESEP_BAD_TENSOR;
}
