#include "separable_conv_2d_op.h"

#include "op_names.h"
#include "operator.h"
#include "sparsesep/compiler.h"
#include "sparsesep/depthwise_conv.h"

// A blob is one of two structs, which its version tells apart.

static SparsesepStatus describe_depthwise(const SparsesepDepthwiseConv* conv,
                                          SparsesepConvShape* shape,
                                          SparsesepConvTensors* tensors) {
  tensors->input_channels = conv->channels;
  tensors->output_channels = sparsesep_depthwise_outputs(conv);
  tensors->is_float = 0;
  return sparsesep_depthwise_conv_shape(conv, shape);
}

SPARSESEP_COLD
static SparsesepStatus describe(const void* blob, SparsesepConvShape* shape,
                                SparsesepConvTensors* tensors) {
  if (sparsesep_is_depthwise(blob)) {
    return describe_depthwise(blob, shape, tensors);
  }
  const SparsesepSeparableConv* conv = blob;
  tensors->input_channels = conv->input_channels;
  tensors->output_channels = conv->output_channels;
  tensors->is_float = conv->value_type == SPARSESEP_SEPARABLE_FLOAT32;
  return sparsesep_separable_conv_shape(conv, shape);
}

SPARSESEP_COLD
static const void* select(const void* blob) {
  if (sparsesep_is_depthwise(blob))
    return sparsesep_select_depthwise_conv(blob);
  return sparsesep_select_separable_conv(blob);
}

SPARSESEP_COLD
static uint64_t scratch_bytes(const void* blob, const SparsesepConvShape* shape,
                              const void* variant) {
  if (sparsesep_is_depthwise(blob)) {
    return sparsesep_depthwise_scratch_bytes(blob, shape, variant);
  }
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
  SparsesepActivations activations;
  sparsesep_get_activations(host, &activations);
  void* const scratch = sparsesep_scratch(host, op->scratch_index);
  if (sparsesep_is_depthwise(op->blob)) {
    sparsesep_run_depthwise_conv(op->blob, &op->shape, op->variant,
                                 activations.input.data,
                                 activations.output.data, scratch);
    return SPARSESEP_OK;
  }
  const SparsesepSeparableConvVariant* variant = op->variant;
  variant->run(op->blob, &op->shape, activations.input.data,
               activations.output.data, scratch);
  return SPARSESEP_OK;
}
