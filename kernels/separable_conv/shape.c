#include "sparsesep/compiler.h"
#include "sparsesep/separable_conv.h"

// Output size along one dimension; `pad` receives the padding before it. 0
// where there is no output.
static int32_t output_size(const SparsesepConvStage* stage, int32_t input,
                           int32_t* pad) {
  const int32_t stride = stage->stride;
  const int32_t kernel = stage->kernel;
  *pad = 0;
  if (stage->padding == SPARSESEP_PADDING_VALID) {
    return input < kernel ? 0 : (input - kernel) / stride + 1;
  }
  const int32_t output = (input - 1) / stride + 1;
  const int32_t missing = (output - 1) * stride + kernel - input;
  if (missing > 0) *pad = missing / 2;
  return output;
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
