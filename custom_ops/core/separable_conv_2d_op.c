#include "separable_conv_2d_op.h"

#include "op_names.h"
#include "operator.h"
#include "sparsesep/compiler.h"

SPARSESEP_COLD
static SparsesepStatus describe(const void* blob, SparsesepConvShape* shape,
                                SparsesepConvTensors* tensors) {
  const SparsesepSeparableConv* conv = blob;
  tensors->input_channels = conv->input_channels;
  tensors->output_channels = conv->output_channels;
  tensors->is_float = conv->value_type == SPARSESEP_SEPARABLE_FLOAT32;
  return sparsesep_separable_conv_shape(conv, shape);
}

SPARSESEP_COLD
static const void* select(const void* blob) {
  return sparsesep_select_separable_conv(blob);
}

SPARSESEP_COLD
static uint64_t scratch_bytes(const void* blob, const SparsesepConvShape* shape,
                              const void* variant) {
  return ((const SparsesepSeparableConvVariant*)variant)
      ->scratch_bytes(blob, shape);
}

SPARSESEP_COLD
void* sparsesep_separable_conv_init(const SparsesepHost* host,
                                    const void* options, size_t options_bytes) {
  return sparsesep_conv_init(host, options, options_bytes);
}

SPARSESEP_COLD
SparsesepStatus sparsesep_separable_conv_prepare(const SparsesepHost* host,
                                                 void* op_data) {
  static const SparsesepConvKind kind = {SPARSESEP_OP_SEPARABLE_CONV_2D,
                                         sparsesep_validate_separable_conv,
                                         describe, select, scratch_bytes};
  return sparsesep_conv_prepare(host, op_data, &kind);
}

SparsesepStatus sparsesep_separable_conv_eval(const SparsesepHost* host,
                                              const void* op_data) {
  const SparsesepConvOp* op = op_data;
  const SparsesepSeparableConvVariant* variant = op->variant;
  const SparsesepEvalMemory memory =
      sparsesep_eval_memory(host, op->scratch_index);
  variant->run(memory.blob, &op->shape, memory.input, memory.output,
               memory.scratch);
  return SPARSESEP_OK;
}
