// SPARSE_CONV_2D(input, blob) -> output, or SPARSE_CONV_2D(input, blob,
// residual) -> output, independent of the runtime.
#ifndef SPARSESEP_SPARSE_CONV_2D_OP_H_
#define SPARSESEP_SPARSE_CONV_2D_OP_H_

#include "conv_op.h"
#include "sparsesep/sparse_conv.h"

#ifdef __cplusplus
extern "C" {
#endif

// As sparsesep_conv_init(): the data is a SparsesepConvOp.
void* sparsesep_sparse_conv_init(const SparsesepHost* host, const void* options,
                                 size_t options_bytes);

// Validates everything: blob, tensor types and shapes.
SparsesepStatus sparsesep_sparse_conv_prepare(const SparsesepHost* host,
                                              void* op_data);

// Runs the layer. Trusts what prepare has accepted.
SparsesepStatus sparsesep_sparse_conv_eval(const SparsesepHost* host,
                                           const void* op_data);

// Adds the residual of a blob that has one to outputs of so many channels.
// `scratch` is what prepare reserved, or what a page left of it.
void sparsesep_add_residual_of(const SparsesepHost* host,
                               const SparsesepConvOp* op, uint32_t channels,
                               void* output, void* scratch);

#ifdef __cplusplus
}
#endif

#endif  // SPARSESEP_SPARSE_CONV_2D_OP_H_
