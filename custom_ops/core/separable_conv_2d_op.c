#include "separable_conv_2d_op.h"

#include <string.h>

#include "op_names.h"
#include "sparsesep/compiler.h"

_Static_assert(sizeof(SparsesepSeparableConvOp) <= 64,
               "persistent arena per operator");

// The blob of the operator, checked completely.
static SparsesepStatus get_conv(const SparsesepHost* host,
                                const SparsesepSeparableConv** conv) {
  SparsesepTensor blob;
  const SparsesepStatus found =
      host->get_tensor(host, SPARSESEP_SLOT_WEIGHTS, &blob);
  if (found != SPARSESEP_OK) return found;
  // Kernels read words in place: the model file aligns the blob, and the
  // caller must not have loaded the file at an odd address.
  if (blob.type != SPARSESEP_TENSOR_UINT8 || blob.data == NULL ||
      blob.rank != 1 || blob.dims[0] <= 0 ||
      (uintptr_t)blob.data % sizeof(uint32_t) != 0) {
    return SPARSESEP_BAD_TENSOR;
  }
  *conv = blob.data;
  return sparsesep_validate_separable_conv(blob.data, (size_t)blob.dims[0]);
}

// Returns whether the tensor is an image of these sizes, small enough to be
// addressed.
static int is_image(const SparsesepTensor* tensor, SparsesepTensorType type,
                    int32_t batch, int32_t height, int32_t width,
                    int32_t channels) {
  if (tensor->type != type || tensor->rank != 4 || tensor->dims[0] != batch ||
      tensor->dims[1] != height || tensor->dims[2] != width ||
      tensor->dims[3] != channels) {
    return 0;
  }
  int32_t elements = 1;
  for (int i = 0; i < 4; ++i) {
    if (tensor->dims[i] <= 0 || elements > INT32_MAX / 4 / tensor->dims[i]) {
      return 0;
    }
    elements *= tensor->dims[i];
  }
  return 1;
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
  status = sparsesep_separable_conv_shape(conv, shape);
  if (status != SPARSESEP_OK) return status;
  const SparsesepTensorType type =
      conv->value_type == SPARSESEP_SEPARABLE_FLOAT32 ? SPARSESEP_TENSOR_FLOAT32
                                                      : SPARSESEP_TENSOR_INT8;
  const int legal = is_image(&input, type, shape->batch, shape->input_height,
                             shape->input_width, conv->input_channels) &&
                    is_image(&output, type, shape->batch, shape->output_height,
                             shape->output_width, conv->output_channels);
  return legal ? SPARSESEP_OK : SPARSESEP_BAD_TENSOR;
}

SPARSESEP_COLD
static SparsesepStatus prepare(const SparsesepHost* host,
                               SparsesepSeparableConvOp* op) {
  const SparsesepSeparableConv* conv = NULL;
  SparsesepStatus status = op->init_status;
  if (status == SPARSESEP_OK) status = get_conv(host, &conv);
  if (status == SPARSESEP_OK) status = get_shape(host, conv, &op->shape);
  if (status != SPARSESEP_OK) return status;

  op->variant = sparsesep_select_separable_conv(conv);
  if (op->variant == NULL) return SPARSESEP_UNSUPPORTED;
  const uint64_t bytes = op->variant->scratch_bytes(conv, &op->shape);
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
  op->variant->run(blob.data, &op->shape, input.data, output.data,
                   host->get_scratch(host, op->scratch_index));
  return SPARSESEP_OK;
}
