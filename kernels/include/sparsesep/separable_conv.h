// The packed separable convolution, version 1: one constant tensor that holds
// two convolutions which follow each other, and the kernels that run both
// without ever holding what is between them.
//
//   vertical     kernel_height x 1, input_channels -> middle_channels
//   horizontal   1 x kernel_width,  middle_channels -> output_channels
//
// Strides go with the kernels: the vertical one strides down, the horizontal
// one to the right. int8 blobs compute what TFLite's two CONV_2D compute, bit
// for bit: intermediate values are int8 with a scale and a zero point
// of their own. float32 blobs have neither.
//
// The blob is little-endian, 16-byte aligned in the model file, and read in
// place. `converters/blob/separable_format.py` mirrors this file and a test
// holds the two against each other. In this order:
//
//   header       SparsesepSeparableConv, 80 bytes
//   of the vertical stage, then of the horizontal one:
//   bias         int32[units], or float32[units]
//   multiplier   int32[units], Q0.31, >= 0                  (int8 only)
//   shift        int8[units], -31..30, positive is left     (int8 only)
//   weights      int8 or float32, see ORDER
//
// `units` are the stage's output channels, rounded up to a multiple of 4: the
// entries after the last channel may hold anything legal. A section may start
// at any multiple of 4 after the end of the one before it; absent sections
// have the offset of their successor.
//
// Taps. A unit of a stage has `kernel` taps of `channels` weights each. int8
// biases hold bias[u] - zero_point_of_the_stage's_input * sum(weights of u),
// and what padding adds to the image is that zero point: no kernel subtracts
// it. Sums wrap at 32 bits as in TFLite.
//
// Numbers. Where the packer sets SPARSESEP_STAGE_BOUNDED it guarantees
// |bias[u]| + 128 * sum(|weights of u|) < 2^30 and that every shift is below 0;
// in interleaved blobs it guarantees 128 * sum(|weights of u|) < 2^23 for all
// units. A blob that breaks this promise gives wrong outputs, nothing worse.
#ifndef SPARSESEP_SEPARABLE_CONV_H_
#define SPARSESEP_SEPARABLE_CONV_H_

#include <stddef.h>
#include <stdint.h>

#include "sparsesep/conv_shape.h"
#include "sparsesep/status.h"

#ifdef __cplusplus
extern "C" {
#endif

#define SPARSESEP_SEPARABLE_MAGIC 0x31435353u  // "SSC1"
#define SPARSESEP_SEPARABLE_VERSION 1

enum {
  SPARSESEP_SEPARABLE_INT8 = 0,
  SPARSESEP_SEPARABLE_FLOAT32 = 2,
};

enum {
  // weights[output channel][kernel][channels]
  SPARSESEP_SEPARABLE_NATURAL = 0,
  // int16[units / 4][kernel][channels / 2, rounded up][2 pairs of units][2
  // channels]: units u and u + 1 share each int16 as a + 256 * b, so that the
  // low byte is a and the high byte b, or b - 1 where a is negative. Channels
  // go in pairs: of each 4 first 0 and 2, then 1 and 3; of what is left 0 and
  // 1; zeros stand in for an odd last one. int8 only.
  SPARSESEP_SEPARABLE_WOVEN = 1,
};

enum {
  SPARSESEP_STAGE_BOUNDED = 1u << 0,  // see Numbers
};

// One of the two convolutions.
typedef struct SparsesepConvStage {
  uint32_t bias_offset;  // offsets in bytes from the start of the header
  uint32_t multiplier_offset;
  uint32_t shift_offset;
  uint32_t weights_offset;
  int32_t activation_min;  // limits of the stage's output; float32: their bits
  int32_t activation_max;
  uint8_t kernel;  // 1..255
  uint8_t stride;  // 1..255
  uint8_t padding;
  uint8_t flags;
} SparsesepConvStage;

typedef struct SparsesepSeparableConv {
  uint32_t magic;
  uint8_t version;
  uint8_t value_type;
  uint8_t order;
  int8_t input_zero_point;  // -128..127; float32: 0, as the other two
  int8_t middle_zero_point;
  int8_t output_zero_point;
  uint16_t input_channels;  // 1..65535
  uint16_t middle_channels;
  uint16_t output_channels;
  uint32_t bytes;  // of the whole blob
  SparsesepConvStage vertical;
  SparsesepConvStage horizontal;
  uint32_t reserved;  // 0
} SparsesepSeparableConv;

// Checks a blob completely, in one pass and without allocating. Kernels trust
// a blob that passed. `blob` may be any memory, aligned or not.
SparsesepStatus sparsesep_validate_separable_conv(const void* blob,
                                                  size_t blob_bytes);

// Completes a shape whose batch, input_height and input_width are set.
// SPARSESEP_BAD_TENSOR where the input is empty or gives no output.
SparsesepStatus sparsesep_separable_conv_shape(
    const SparsesepSeparableConv* conv, SparsesepConvShape* shape);

// Runs a valid blob on an input of the shape. `input` and `output` hold int8 or
// float, no alignment beyond their type. The caller aligns `scratch` to 16
// bytes, since kernels put words there. Kernels read nothing outside the blob,
// the input and `scratch`.
typedef void (*SparsesepSeparableConvKernel)(const SparsesepSeparableConv* conv,
                                             const SparsesepConvShape* shape,
                                             const void* input, void* output,
                                             void* scratch);

// Bytes of scratch. 64 bits, because a hostile blob or tensor can ask for any
// number: callers refuse what their memory cannot hold.
typedef uint64_t (*SparsesepSeparableConvScratch)(
    const SparsesepSeparableConv* conv, const SparsesepConvShape* shape);

typedef struct SparsesepSeparableConvVariant {
  SparsesepSeparableConvKernel run;
  SparsesepSeparableConvScratch scratch_bytes;
  uint8_t value_type;
  uint8_t order;
} SparsesepSeparableConvVariant;

// The kernel that runs a valid blob in this build, or NULL.
const SparsesepSeparableConvVariant* sparsesep_select_separable_conv(
    const SparsesepSeparableConv* conv);

// The name of a variant that was selected, such as "int8_v7m". For tools: an
// image that never asks carries no names.
const char* sparsesep_separable_conv_variant_name(
    const SparsesepSeparableConvVariant* variant);

#ifdef __cplusplus
}
#endif

#endif  // SPARSESEP_SEPARABLE_CONV_H_
