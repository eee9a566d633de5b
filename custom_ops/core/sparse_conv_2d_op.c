#include "sparse_conv_2d_op.h"

#include "op_names.h"
#include "operator.h"
#include "sparse_fully_connected/variants.h"
#include "sparsesep/compiler.h"

SPARSESEP_COLD
static SparsesepStatus describe(const void* blob, SparsesepConvShape* shape,
                                SparsesepConvTensors* tensors) {
  const SparsesepSparseConv* conv = blob;
  const SparsesepPackedHeader* weights = sparsesep_sparse_conv_weights(conv);
  tensors->input_channels = conv->channels;
  tensors->output_channels = weights->rows;
  tensors->is_float = weights->value_type == SPARSESEP_VALUE_FLOAT32;
  if (SPARSESEP_LINKS_RESIDUALS) {
    tensors->has_residual = sparsesep_has_residual(conv);
  }
  return sparsesep_sparse_conv_shape(conv, shape);
}

SPARSESEP_COLD
static const void* select(const void* blob) {
  return sparsesep_select_fully_connected(sparsesep_sparse_conv_weights(blob));
}

SPARSESEP_COLD
static uint64_t scratch_bytes(const void* blob, const SparsesepConvShape* shape,
                              const void* variant) {
  return sparsesep_sparse_conv_scratch_bytes(blob, shape, variant);
}

SPARSESEP_COLD
void* sparsesep_sparse_conv_init(const SparsesepHost* host, const void* options,
                                 size_t options_bytes) {
  return sparsesep_conv_init(host, options, options_bytes);
}

SPARSESEP_COLD
SparsesepStatus sparsesep_sparse_conv_prepare(const SparsesepHost* host,
                                              void* op_data) {
  static const SparsesepConvKind kind = {SPARSESEP_OP_SPARSE_CONV_2D,
                                         sparsesep_validate_sparse_conv,
                                         describe, select, scratch_bytes};
  return sparsesep_conv_prepare(host, op_data, &kind);
}

SPARSESEP_COLD
void sparsesep_add_residual_of(const SparsesepHost* host,
                               const SparsesepConvOp* op, uint32_t channels,
                               void* output, void* scratch) {
  const SparsesepConvShape* shape = &op->shape;
  SparsesepTensor residual;
  host->get_tensor(host, SPARSESEP_SLOT_RESIDUAL, &residual);
  const size_t pixels = (size_t)shape->batch * (size_t)shape->output_height *
                        (size_t)shape->output_width;
  sparsesep_add_residual(op->blob, residual.data, output, pixels * channels,
                         scratch);
}

SparsesepStatus sparsesep_sparse_conv_eval(const SparsesepHost* host,
                                           const void* op_data) {
  const SparsesepConvOp* op = op_data;
  SparsesepActivations activations;
  sparsesep_get_activations(host, &activations);
  void* scratch = sparsesep_scratch(host, op->scratch_index);
  sparsesep_run_sparse_conv(op->blob, &op->shape, op->variant,
                            activations.input.data, activations.output.data,
                            scratch);
  if (SPARSESEP_LINKS_RESIDUALS && sparsesep_has_residual(op->blob)) {
    sparsesep_add_residual_of(host, op,
                              sparsesep_sparse_conv_weights(op->blob)->rows,
                              activations.output.data, scratch);
  }
  return SPARSESEP_OK;
}
