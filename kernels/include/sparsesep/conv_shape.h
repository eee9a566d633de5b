// Sizes and paddings of convolutions, as TFLite computes them.
#ifndef SPARSESEP_CONV_SHAPE_H_
#define SPARSESEP_CONV_SHAPE_H_

#include <stdint.h>

enum {
  SPARSESEP_PADDING_SAME = 0,  // TFLite's numbers
  SPARSESEP_PADDING_VALID = 1,
};

// An image that a blob is run on, and what follows from its size. All images
// are [batch][height][width][channels].
typedef struct SparsesepConvShape {
  int32_t batch;
  int32_t input_height;
  int32_t input_width;
  int32_t output_height;
  int32_t output_width;
  int32_t pad_top;   // rows of padding above the input of the first window
  int32_t pad_left;  // columns to the left of it
} SparsesepConvShape;

// Output size along one dimension; `pad` receives the padding before it. 0
// where there is no output. `reach` is (kernel - 1) * dilation + 1, at most
// 64771; input >= 1, stride 1..255.
static inline int32_t sparsesep_conv_output_size(int padding, int32_t input,
                                                 int32_t reach, int32_t stride,
                                                 int32_t* pad) {
  *pad = 0;
  if (padding == SPARSESEP_PADDING_VALID) {
    return input < reach ? 0 : (input - reach) / stride + 1;
  }
  const int32_t output = (input - 1) / stride + 1;
  const int32_t missing = (output - 1) * stride + reach - input;
  if (missing > 0) *pad = missing / 2;
  return output;
}

#endif  // SPARSESEP_CONV_SHAPE_H_
