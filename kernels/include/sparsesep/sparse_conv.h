// The packed sparse convolution, version 1: one constant tensor that holds a
// CONV_2D with a sparse kernel, and the function that runs it.
//
// A convolution multiplies the window of each output pixel by a matrix
// [output channels][taps * input channels]. The blob is this matrix as packed
// weights (packed_weights.h), behind a header that tells what a window is:
//
//   header       SparsesepSparseConv, 48 bytes
//   weights      packed weights, cols = kernel_width * kernel_height * channels
//
// The blob is little-endian, 16-byte aligned in the model file, and read in
// place. Where weights are pages in an external memory, their table of contents
// (paged_weights.h) takes the place of packed weights.
// `converters/blob/sparse_conv_format.py` mirrors this file and a test
// holds the two against each other.
//
// Columns. The taps of a window go down first:
//   col = (kx * kernel_height + ky) * channels + channel
// so that windows side by side overlap in one piece, a column of the image
// being kernel_height * channels elements: the kernels of
// SPARSE_FULLY_CONNECTED walk along a strip of the image as along a line.
// Blocks along channels do not straddle taps where channels is a multiple of
// their width.
//
// Padding adds pixels that equal input_zero_point.
//
// Residual. Where `residual` is not 0, the operator reads a second activation
// tensor, with the output's shape, and writes the sum of both as TFLM's int8
// ADD does. With `out` an output of the convolution and `other` the element of
// the second tensor, of which `wide` has the larger scale and `narrow` the
// smaller:
//   sum = ((wide - zero_point) << 19)
//         + requantize((narrow - zero_point) << 20, multiplier, -shift)
//   result = clamp(requantize(sum, sum_multiplier, -sum_shift)
//                  + sum_zero_point)
// where the zero_point of `out` is params.output_zero_point.
#ifndef SPARSESEP_SPARSE_CONV_H_
#define SPARSESEP_SPARSE_CONV_H_

#include <stddef.h>
#include <stdint.h>

#include "sparsesep/conv_shape.h"
#include "sparsesep/sparsesep.h"
#include "sparsesep/status.h"

#ifdef __cplusplus
extern "C" {
#endif

#define SPARSESEP_SPARSE_CONV_MAGIC 0x31435053u  // "SPC1"
#define SPARSESEP_SPARSE_CONV_VERSION 1

// Which of the two has the smaller scale: bits 0 and 1 of `residual`.
#define SPARSESEP_RESIDUAL_NONE 0
#define SPARSESEP_RESIDUAL_NARROW_OTHER 1
#define SPARSESEP_RESIDUAL_NARROW_OUTPUT 2

// What is added to the outputs of a convolution; all 0 without a residual.
typedef struct SparsesepResidual {
  int8_t zero_point;      // of the second tensor
  int8_t sum_zero_point;  // of the result
  int8_t activation_min;  // of the result
  int8_t activation_max;
  int32_t multiplier;  // Q0.31, as the next
  int32_t sum_multiplier;
} SparsesepResidual;

typedef struct SparsesepSparseConv {
  uint32_t magic;
  uint8_t version;
  uint8_t padding;        // SPARSESEP_PADDING_*
  uint8_t kernel_height;  // 1..255, as the next five
  uint8_t kernel_width;
  uint8_t stride_height;
  uint8_t stride_width;
  uint8_t dilation_height;
  uint8_t dilation_width;
  uint16_t channels;  // of the input, 1..65535
  uint16_t residual;  // kind | shift << 2 | sum_shift << 7, right shifts 0..31
  // Zero points and limits as for SPARSE_FULLY_CONNECTED; input_step is 0.
  SparsesepFullyConnectedParams params;
  SparsesepResidual addition;
} SparsesepSparseConv;

static inline uint32_t sparsesep_residual_kind(
    const SparsesepSparseConv* conv) {
  return conv->residual & 3u;
}

static inline int sparsesep_has_residual(const SparsesepSparseConv* conv) {
  return sparsesep_residual_kind(conv) != SPARSESEP_RESIDUAL_NONE;
}

static inline int32_t sparsesep_residual_shift(
    const SparsesepSparseConv* conv) {
  return conv->residual >> 2 & 31;
}

static inline int32_t sparsesep_residual_sum_shift(
    const SparsesepSparseConv* conv) {
  return conv->residual >> 7 & 31;
}

static inline const SparsesepPackedHeader* sparsesep_sparse_conv_weights(
    const SparsesepSparseConv* conv) {
  return (const SparsesepPackedHeader*)(const void*)(conv + 1);
}

// Checks a blob completely, in one pass and without allocating. `blob` may be
// any memory, aligned or not.
SparsesepStatus sparsesep_validate_sparse_conv(const void* blob,
                                               size_t blob_bytes);

// Checks a header against the shape and type of its weights, wherever these
// are: a part of the above.
SparsesepStatus sparsesep_check_sparse_conv(const SparsesepSparseConv* conv,
                                            uint32_t cols, uint32_t value_type);

// Completes a shape whose batch, input_height and input_width are set.
// SPARSESEP_BAD_TENSOR where the input is empty or gives no output.
SparsesepStatus sparsesep_sparse_conv_shape(const SparsesepSparseConv* conv,
                                            SparsesepConvShape* shape);

// Bytes of scratch that `variant` needs to run a valid blob on a completed
// shape: a strip of the image under a few windows, at most
// kernel_height * kernel_width * channels elements for each pixel computed at
// once, and what the variant asks for; or what a residual asks for afterwards,
// if that is more. 64 bits, because a hostile blob can ask for any number:
// callers refuse what their memory cannot hold.
uint64_t sparsesep_sparse_conv_scratch_bytes(
    const SparsesepSparseConv* conv, const SparsesepConvShape* shape,
    const SparsesepFullyConnectedVariant* variant);

// Runs a valid blob with a variant that was selected for its weights, without
// its residual. `input` and `output` hold int8 or float, no alignment beyond
// their type; `scratch` is 16-byte aligned.
void sparsesep_run_sparse_conv(const SparsesepSparseConv* conv,
                               const SparsesepConvShape* shape,
                               const SparsesepFullyConnectedVariant* variant,
                               const void* input, void* output, void* scratch);

// What sparsesep_add_residual() asks for.
#define SPARSESEP_RESIDUAL_SCRATCH_BYTES (256 * sizeof(int32_t))

// Adds `count` elements of the second tensor to outputs, for a valid blob with
// a residual, count >= 1. `scratch` is 16-byte aligned.
void sparsesep_add_residual(const SparsesepSparseConv* conv,
                            const int8_t* residual, int8_t* output,
                            size_t count, void* scratch);

#ifdef __cplusplus
}
#endif

#endif  // SPARSESEP_SPARSE_CONV_H_
