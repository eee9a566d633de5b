#include "separable_conv_2d_op.h"

#include <string.h>

#include "image_tensors.h"
#include "op_names.h"
#include "sparsesep/compiler.h"

_Static_assert(sizeof(SparsesepSeparableConvOp) <= 64,
               "persistent arena per operator");

// The blob of the operator, checked completely.
static SparsesepStatus get_conv(const SparsesepHost* host,
                                const SparsesepSeparableConv** conv) {
  SparsesepTensor blob;
  size_t bytes = 0;
  const SparsesepStatus found = sparsesep_get_blob(host, &blob, &bytes);
  if (found != SPARSESEP_OK) return found;
  *conv = blob.data;
  return sparsesep_validate_separable_conv(blob.data, bytes);
}

// The channels of both tensors, and the completed shape.
static SparsesepStatus fit_shape(const SparsesepSeparableConv* conv,
                                 SparsesepConvShape* shape,
                                 uint32_t* input_channels,
                                 uint32_t* output_channels) {
  if (!sparsesep_is_depthwise(conv)) {
    *input_channels = conv->input_channels;
    *output_channels = conv->output_channels;
    return sparsesep_separable_conv_shape(conv, shape);
  }
  const SparsesepDepthwiseConv* depthwise = (const void*)conv;
  *input_channels = depthwise->channels;
  *output_channels = sparsesep_depthwise_outputs(depthwise);
  return sparsesep_depthwise_conv_shape(depthwise, shape);
}

// The shape of the input, which the output must agree with.
static SparsesepStatus get_shape(const SparsesepHost* host,
                                 const SparsesepSeparableConv* conv,
                                 SparsesepConvShape* shape) {
  SparsesepTensor input;
  SparsesepTensor output;
  SparsesepStatus status = host->get_tensor(host, SPARSESEP_SLOT_INPUT, &input);
  if (status != SPARSESEP_OK) return status;
  status = host->get_tensor(host, SPARSESEP_SLOT_OUTPUT, &output);
  if (status != SPARSESEP_OK) return status;
  if (input.rank != 4) return SPARSESEP_BAD_TENSOR;

  shape->batch = input.dims[0];
  shape->input_height = input.dims[1];
  shape->input_width = input.dims[2];
  uint32_t input_channels;
  uint32_t output_channels;
  status = fit_shape(conv, shape, &input_channels, &output_channels);
  if (status != SPARSESEP_OK) return status;
  const SparsesepTensorType type =
      !sparsesep_is_depthwise(conv) &&
              conv->value_type == SPARSESEP_SEPARABLE_FLOAT32
          ? SPARSESEP_TENSOR_FLOAT32
          : SPARSESEP_TENSOR_INT8;
  const int legal =
      sparsesep_is_image(&input, type, shape->batch, shape->input_height,
                         shape->input_width, input_channels) &&
      sparsesep_is_image(&output, type, shape->batch, shape->output_height,
                         shape->output_width, output_channels);
  return legal ? SPARSESEP_OK : SPARSESEP_BAD_TENSOR;
}

// The kernel of a blob, and the scratch that it needs.
static SparsesepStatus select(const SparsesepSeparableConv* conv,
                              SparsesepSeparableConvOp* op, uint64_t* bytes) {
  if (sparsesep_is_depthwise(conv)) {
    const SparsesepDepthwiseConv* depthwise = (const void*)conv;
    op->depthwise = sparsesep_select_depthwise_conv(depthwise);
    *bytes = sparsesep_depthwise_scratch_bytes(depthwise, &op->shape,
                                               op->depthwise);
    return SPARSESEP_OK;
  }
  op->variant = sparsesep_select_separable_conv(conv);
  if (op->variant == NULL) return SPARSESEP_UNSUPPORTED;
  *bytes = op->variant->scratch_bytes(conv, &op->shape);
  return SPARSESEP_OK;
}

SPARSESEP_COLD
static SparsesepStatus prepare(const SparsesepHost* host,
                               SparsesepSeparableConvOp* op) {
  const SparsesepSeparableConv* conv = NULL;
  uint64_t bytes = 0;
  SparsesepStatus status = op->init_status;
  if (status == SPARSESEP_OK) status = get_conv(host, &conv);
  if (status == SPARSESEP_OK) status = get_shape(host, conv, &op->shape);
  if (status == SPARSESEP_OK) status = select(conv, op, &bytes);
  if (status != SPARSESEP_OK) return status;
  if (bytes > INT32_MAX) return SPARSESEP_OUT_OF_MEMORY;
  return host->request_scratch(host, (size_t)bytes, &op->scratch_index);
}

SPARSESEP_COLD
void* sparsesep_separable_conv_init(const SparsesepHost* host,
                                    const void* options, size_t options_bytes) {
  (void)options;
  SparsesepSeparableConvOp* op =
      host->allocate_persistent(host, sizeof(SparsesepSeparableConvOp));
  if (op == NULL) return NULL;
  memset(op, 0, sizeof(*op));
  op->init_status = options_bytes == 0 ? SPARSESEP_OK : SPARSESEP_BAD_OPTIONS;
  return op;
}

SPARSESEP_COLD
SparsesepStatus sparsesep_separable_conv_prepare(const SparsesepHost* host,
                                                 void* op_data) {
  const SparsesepStatus status =
      op_data == NULL ? SPARSESEP_OUT_OF_MEMORY : prepare(host, op_data);
  if (status != SPARSESEP_OK) {
    host->report(host, SPARSESEP_OP_SEPARABLE_CONV_2D,
                 sparsesep_status_message(status));
  }
  return status;
}

SparsesepStatus sparsesep_separable_conv_eval(const SparsesepHost* host,
                                              const void* op_data) {
  const SparsesepSeparableConvOp* op = op_data;
  SparsesepTensor input;
  SparsesepTensor blob;
  SparsesepTensor output;
  host->get_tensor(host, SPARSESEP_SLOT_INPUT, &input);
  host->get_tensor(host, SPARSESEP_SLOT_WEIGHTS, &blob);
  host->get_tensor(host, SPARSESEP_SLOT_OUTPUT, &output);
  void* scratch = host->get_scratch(host, op->scratch_index);
  if (op->variant != NULL) {
    op->variant->run(blob.data, &op->shape, input.data, output.data, scratch);
  } else {
    sparsesep_run_depthwise_conv(blob.data, &op->shape, op->depthwise,
                                 input.data, output.data, scratch);
  }
  return SPARSESEP_OK;
}
