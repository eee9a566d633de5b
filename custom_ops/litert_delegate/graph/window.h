// The window of a convolution or pool along height and width.
#ifndef SPARSESEP_DELEGATE_GRAPH_WINDOW_H_
#define SPARSESEP_DELEGATE_GRAPH_WINDOW_H_

#include "graph/operation.h"

// Arrays hold height, width.
typedef struct SparsesepWindow {
  TfLitePadding padding;
  TfLiteFusedActivation activation;
  int32_t kernel[2];
  int32_t stride[2];
  int32_t dilation[2];
} SparsesepWindow;

// Reads a CONV_2D, DEPTHWISE_CONV_2D or pool, whose parameters are not NULL.
// `weights`: dimensions of a convolution's weights, of rank 4.
SparsesepWindow sparsesep_read_window(const SparsesepOperation* operation,
                                      const int* weights);

// Output size along an axis (0: height, 1: width) for `input` elements, and the
// padding before them. 0 where nothing fits.
int32_t sparsesep_window_output(const SparsesepWindow* window, int axis,
                                int32_t input, int32_t* pad);

#endif  // SPARSESEP_DELEGATE_GRAPH_WINDOW_H_
