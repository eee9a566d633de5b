// The window of a convolution or pool along height and width.
#ifndef SPARSESEP_DELEGATE_GRAPH_WINDOW_H_
#define SPARSESEP_DELEGATE_GRAPH_WINDOW_H_

#include "graph/operation.h"

// Arrays hold height and width.
typedef struct SparsesepWindow {
  TfLitePadding padding;
  TfLiteFusedActivation activation;
  int32_t kernel[2];
  int32_t stride[2];
  int32_t dilation[2];
} SparsesepWindow;

// Reads a CONV_2D, DEPTHWISE_CONV_2D or pool with parameters. `weights`: the
// four dimensions of a convolution's weights.
SparsesepWindow sparsesep_read_window(const SparsesepOperation* operation,
                                      const int* weights);

// Returns the output size along an axis (0: height, 1: width) and the
// padding before the input. 0 if no window fits.
int32_t sparsesep_window_output(const SparsesepWindow* window, int axis,
                                int32_t input, int32_t* pad);

#endif  // SPARSESEP_DELEGATE_GRAPH_WINDOW_H_
