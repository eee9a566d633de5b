#include "graph/window.h"

SparsesepWindow sparsesep_read_window(const SparsesepOperation* operation,
                                      const int* weights) {
  if (operation->kind == SPARSESEP_CONV_2D) {
    const TfLiteConvParams* p = operation->parameters;
    return (SparsesepWindow){
        p->padding,
        p->activation,
        {weights[1], weights[2]},
        {p->stride_height, p->stride_width},
        {p->dilation_height_factor, p->dilation_width_factor}};
  }
  if (operation->kind == SPARSESEP_DEPTHWISE_CONV_2D) {
    const TfLiteDepthwiseConvParams* p = operation->parameters;
    return (SparsesepWindow){
        p->padding,
        p->activation,
        {weights[1], weights[2]},
        {p->stride_height, p->stride_width},
        {p->dilation_height_factor, p->dilation_width_factor}};
  }
  const TfLitePoolParams* p = operation->parameters;
  return (SparsesepWindow){p->padding,
                           p->activation,
                           {p->filter_height, p->filter_width},
                           {p->stride_height, p->stride_width},
                           {1, 1}};
}

int32_t sparsesep_window_output(const SparsesepWindow* window, int axis,
                                int32_t input, int32_t* pad) {
  const int32_t stride = window->stride[axis];
  const int64_t kernel =
      ((int64_t)window->kernel[axis] - 1) * window->dilation[axis] + 1;
  *pad = 0;
  if (kernel > SPARSESEP_MAX_ELEMENTS) return 0;
  if (window->padding == kTfLitePaddingValid) {
    return input < kernel ? 0 : (input - (int32_t)kernel) / stride + 1;
  }
  const int32_t output = (input - 1) / stride + 1;
  const int64_t missing = (int64_t)(output - 1) * stride + kernel - input;
  if (missing > 0) *pad = (int32_t)(missing / 2);
  return output;
}
