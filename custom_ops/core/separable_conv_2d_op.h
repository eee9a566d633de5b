// SEPARABLE_CONV_2D(input, blob) -> output, independent of the runtime.
#ifndef SPARSESEP_SEPARABLE_CONV_2D_OP_H_
#define SPARSESEP_SEPARABLE_CONV_2D_OP_H_

#include "conv_op.h"
#include "sparsesep/separable_conv.h"

#ifdef __cplusplus
extern "C" {
#endif

// As sparsesep_conv_init(): the data is a SparsesepConvOp.
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
