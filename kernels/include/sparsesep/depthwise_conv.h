// The packed separable convolution, version 2: one constant tensor that holds a
// depthwise convolution, alone or with the pointwise convolution that follows
// it. Version 1 (separable_conv.h) holds a d x 1 and a 1 x e convolution; the
// operator and the magic number are the same.
//
// The blob is little-endian, 16-byte aligned in the model file, and read in
// place. `converters/blob/depthwise_format.py` mirrors this file and a test
// holds the two against each other. In this order:
//
//   header       SparsesepDepthwiseConv, 80 bytes
//   bias         int32[units]
//   multiplier   int32[units], Q0.31, >= 0
//   shift        int8[units], -31..30, positive is left
//   weights      int8[units][kernel_width][kernel_height]
//   pointwise    packed weights (packed_weights.h) on `units` columns, at a
//                multiple of 16; none where the kind is DEPTHWISE
//
// `units` = channels * multiplier: unit c * multiplier + m reads channel c. A
// section may start at any multiple of 4 after the end of the one before it.
//
// Biases hold bias[u] - input_zero_point * sum(weights of u), and padding adds
// pixels that equal that zero point: no kernel subtracts it. Sums wrap at 32
// bits as in TFLite.
//
// Numbers. Where the packer sets FLAG_BOUNDED it guarantees
// |bias[u]| + 128 * sum(|weights of u|) < 2^30 and that every shift is below 0.
// A blob that breaks this promise gives wrong outputs, nothing worse.
#ifndef SPARSESEP_DEPTHWISE_CONV_H_
#define SPARSESEP_DEPTHWISE_CONV_H_

#include <stddef.h>
#include <stdint.h>

#include "sparsesep/conv_shape.h"
#include "sparsesep/packed_weights.h"
#include "sparsesep/separable_conv.h"
#include "sparsesep/sparsesep.h"
#include "sparsesep/status.h"

#ifdef __cplusplus
extern "C" {
#endif

#define SPARSESEP_DEPTHWISE_VERSION 2

enum {
  SPARSESEP_KIND_DEPTHWISE = 1,
  SPARSESEP_KIND_BLOCK = 2,  // depthwise, then pointwise
};

enum {
  SPARSESEP_DEPTHWISE_BOUNDED = 1u << 0,  // see Numbers
};

typedef struct SparsesepDepthwiseConv {
  uint32_t magic;         // SPARSESEP_SEPARABLE_MAGIC
  uint8_t version;        // SPARSESEP_DEPTHWISE_VERSION
  uint8_t kind;           // SPARSESEP_KIND_*
  uint8_t padding;        // SPARSESEP_PADDING_*
  uint8_t flags;          // SPARSESEP_DEPTHWISE_*
  uint8_t kernel_height;  // 1..255, as the next five
  uint8_t kernel_width;
  uint8_t stride_height;
  uint8_t stride_width;
  uint8_t dilation_height;
  uint8_t dilation_width;
  uint16_t channels;    // of the input, 1..65535
  uint16_t multiplier;  // units of a channel; channels * multiplier <= 65535
  int8_t input_zero_point;
  int8_t output_zero_point;  // of the depthwise convolution, as the limits
  int8_t activation_min;
  int8_t activation_max;
  uint16_t reserved;     // 0
  uint32_t bytes;        // of the whole blob
  uint32_t bias_offset;  // offsets in bytes from the start of the header
  uint32_t multiplier_offset;
  uint32_t shift_offset;
  uint32_t weights_offset;
  uint32_t pointwise_offset;  // 0 where the kind is DEPTHWISE
  // Zero points and limits of the pointwise convolution as for
  // SPARSE_FULLY_CONNECTED; all 0 where the kind is DEPTHWISE. input_step is 0.
  SparsesepFullyConnectedParams pointwise;
  uint32_t reserved_words[3];  // 0
} SparsesepDepthwiseConv;

static inline uint32_t sparsesep_depthwise_units(
    const SparsesepDepthwiseConv* conv) {
  return (uint32_t)conv->channels * conv->multiplier;
}

static inline const SparsesepPackedHeader* sparsesep_depthwise_pointwise(
    const SparsesepDepthwiseConv* conv) {
  return (const SparsesepPackedHeader*)(const void*)((const uint8_t*)conv +
                                                     conv->pointwise_offset);
}

// Channels of the output.
static inline uint32_t sparsesep_depthwise_outputs(
    const SparsesepDepthwiseConv* conv) {
  return conv->kind == SPARSESEP_KIND_BLOCK
             ? sparsesep_depthwise_pointwise(conv)->rows
             : sparsesep_depthwise_units(conv);
}

// Whether a separable convolution, of which at least the version can be read,
// is one of this file's kinds.
static inline int sparsesep_is_depthwise(const void* blob) {
  return ((const SparsesepDepthwiseConv*)blob)->version ==
         SPARSESEP_DEPTHWISE_VERSION;
}

// Checks a blob of this version completely, in one pass and without allocating.
// `blob` may be any memory, aligned or not.
SparsesepStatus sparsesep_validate_depthwise_conv(const void* blob,
                                                  size_t blob_bytes);

// Completes a shape whose batch, input_height and input_width are set.
// SPARSESEP_BAD_TENSOR where the input is empty or gives no output.
SparsesepStatus sparsesep_depthwise_conv_shape(
    const SparsesepDepthwiseConv* conv, SparsesepConvShape* shape);

// A kernel of this build.
typedef struct SparsesepDepthwiseVariant SparsesepDepthwiseVariant;

// The kernel that runs the depthwise convolution of a valid blob. All builds
// have one; NULL where this one has no kernel for the pointwise convolution.
const SparsesepDepthwiseVariant* sparsesep_select_depthwise_conv(
    const SparsesepDepthwiseConv* conv);

// Its name, such as "depthwise_3x3_dsp". For tools.
const char* sparsesep_depthwise_variant_name(
    const SparsesepDepthwiseVariant* variant);

// Bytes of scratch that a valid blob needs on a completed shape. 64 bits,
// because a hostile blob can ask for any number: callers refuse what their
// memory cannot hold.
uint64_t sparsesep_depthwise_scratch_bytes(
    const SparsesepDepthwiseConv* conv, const SparsesepConvShape* shape,
    const SparsesepDepthwiseVariant* variant);

// Runs a valid blob with a variant that was selected for it.
// `scratch` is aligned to 16 bytes.
void sparsesep_run_depthwise_conv(const SparsesepDepthwiseConv* conv,
                                  const SparsesepConvShape* shape,
                                  const SparsesepDepthwiseVariant* variant,
                                  const int8_t* input, int8_t* output,
                                  void* scratch);

#ifdef __cplusplus
}
#endif

#endif  // SPARSESEP_DEPTHWISE_CONV_H_
