// SEPARABLE_CONV_2D(input, blob) -> output, independent of the runtime.
//
// input [batch, height, width, channels] int8 or float32; output the same with
// its own height, width and channels. The blob says everything else: there are
// no custom_options.
#ifndef SPARSESEP_SEPARABLE_CONV_2D_OP_H_
#define SPARSESEP_SEPARABLE_CONV_2D_OP_H_

#include "port.h"
#include "sparsesep/depthwise_conv.h"
#include "sparsesep/separable_conv.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct SparsesepSeparableConvOp {
  SparsesepConvShape shape;
  SparsesepStatus init_status;  // Init cannot fail in TFLM: Prepare reports it
  const SparsesepSeparableConvVariant* variant;  // NULL where there is the next
  const SparsesepDepthwiseVariant* depthwise;
  int scratch_index;
} SparsesepSeparableConvOp;

// Allocates the operator's data. NULL where the host has no memory left;
// options, which must be none, are reported by prepare.
void* sparsesep_separable_conv_init(const SparsesepHost* host,
                                    const void* options, size_t options_bytes);

// Validates everything: blob, tensor types and shapes.
SparsesepStatus sparsesep_separable_conv_prepare(const SparsesepHost* host,
                                                 void* op_data);

// Runs the layer. Trusts what prepare has accepted.
SparsesepStatus sparsesep_separable_conv_eval(const SparsesepHost* host,
                                              const void* op_data);

#ifdef __cplusplus
}
#endif

#endif  // SPARSESEP_SEPARABLE_CONV_2D_OP_H_
