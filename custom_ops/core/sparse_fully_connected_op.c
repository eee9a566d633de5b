#include "sparse_fully_connected_op.h"

#include <string.h>

#include "op_names.h"
#include "sparsesep/compiler.h"

_Static_assert(sizeof(SparsesepFullyConnectedOp) <= 64,
               "persistent arena per operator");

static SparsesepStatus read_options(const void* bytes, size_t size,
                                    SparsesepFullyConnectedParams* params) {
  SparsesepFullyConnectedOptions options;
  if (bytes == NULL || size != sizeof(options)) return SPARSESEP_BAD_OPTIONS;
  memcpy(&options, bytes, sizeof(options));
  if (options.version != SPARSESEP_OPTIONS_VERSION ||
      options.bytes != sizeof(options)) {
    return SPARSESEP_BAD_OPTIONS;
  }
  *params = options.params;
  return SPARSESEP_OK;
}

static int is_int8(int32_t value) {
  return value >= INT8_MIN && value <= INT8_MAX;
}

// int8 layers only: the fields of float layers hold the bits of floats.
static SparsesepStatus check_params(const SparsesepFullyConnectedParams* p) {
  const int legal = is_int8(p->input_zero_point) &&
                    is_int8(p->output_zero_point) &&
                    is_int8(p->activation_min) && is_int8(p->activation_max) &&
                    p->activation_min <= p->activation_max;
  return legal ? SPARSESEP_OK : SPARSESEP_BAD_OPTIONS;
}

// Number of elements, or -1 where it is no int32 or a dimension is not
// positive.
static int32_t element_count(const SparsesepTensor* tensor) {
  int32_t count = 1;
  for (int32_t i = 0; i < tensor->rank; ++i) {
    const int32_t dim = tensor->dims[i];
    if (dim <= 0 || count > INT32_MAX / dim) return -1;
    count *= dim;
  }
  return count;
}

// The packed weights of the operator, checked completely.
static SparsesepStatus get_weights(const SparsesepHost* host,
                                   const SparsesepPackedHeader** weights) {
  SparsesepTensor blob;
  const SparsesepStatus found =
      host->get_tensor(host, SPARSESEP_SLOT_WEIGHTS, &blob);
  if (found != SPARSESEP_OK) return found;
  const int32_t bytes = element_count(&blob);
  // Kernels read words in place: the model file aligns the blob, and the
  // caller must not have loaded the file at an odd address.
  if (blob.type != SPARSESEP_TENSOR_UINT8 || blob.data == NULL || bytes <= 0 ||
      (uintptr_t)blob.data % sizeof(uint32_t) != 0) {
    return SPARSESEP_BAD_TENSOR;
  }
  *weights = blob.data;
  return sparsesep_validate_packed_weights(blob.data, (size_t)bytes);
}

static int is_float(const SparsesepPackedHeader* weights) {
  return weights->value_type == SPARSESEP_VALUE_FLOAT32;
}

// Input and output must agree with the weights on one batch: the number of
// vectors, whatever dimensions it is spread over.
static SparsesepStatus get_batch(const SparsesepHost* host,
                                 const SparsesepPackedHeader* weights,
                                 int32_t* batch) {
  SparsesepTensor input;
  SparsesepTensor output;
  SparsesepStatus status = host->get_tensor(host, SPARSESEP_SLOT_INPUT, &input);
  if (status != SPARSESEP_OK) return status;
  status = host->get_tensor(host, SPARSESEP_SLOT_OUTPUT, &output);
  if (status != SPARSESEP_OK) return status;

  const int32_t inputs = element_count(&input);
  const int32_t outputs = element_count(&output);
  const int32_t cols = (int32_t)weights->cols;
  const int32_t rows = (int32_t)weights->rows;
  const SparsesepTensorType type =
      is_float(weights) ? SPARSESEP_TENSOR_FLOAT32 : SPARSESEP_TENSOR_INT8;
  if (input.type != type || output.type != type || inputs <= 0 ||
      outputs <= 0 || inputs % cols != 0 || outputs % rows != 0 ||
      inputs / cols != outputs / rows) {
    return SPARSESEP_BAD_TENSOR;
  }
  *batch = inputs / cols;
  return SPARSESEP_OK;
}

static SparsesepStatus request_scratch(const SparsesepHost* host,
                                       const SparsesepPackedHeader* weights,
                                       SparsesepFullyConnectedOp* op) {
  const uint32_t bytes = op->variant->scratch_bytes(weights, op->batch);
  op->scratch_index = -1;
  if (bytes == 0) return SPARSESEP_OK;
  return host->request_scratch(host, bytes, &op->scratch_index);
}

SPARSESEP_COLD
static SparsesepStatus prepare(const SparsesepHost* host,
                               SparsesepFullyConnectedOp* op) {
  const SparsesepPackedHeader* weights = NULL;
  SparsesepStatus status = op->init_status;
  if (status == SPARSESEP_OK) status = get_weights(host, &weights);
  if (status == SPARSESEP_OK && !is_float(weights)) {
    status = check_params(&op->params);
  }
  if (status == SPARSESEP_OK) status = get_batch(host, weights, &op->batch);
  if (status != SPARSESEP_OK) return status;

  op->variant = sparsesep_select_fully_connected(weights);
  if (op->variant == NULL) return SPARSESEP_UNSUPPORTED;
  return request_scratch(host, weights, op);
}

SPARSESEP_COLD
void* sparsesep_fully_connected_init(const SparsesepHost* host,
                                     const void* options,
                                     size_t options_bytes) {
  SparsesepFullyConnectedOp* op =
      host->allocate_persistent(host, sizeof(SparsesepFullyConnectedOp));
  if (op == NULL) return NULL;
  memset(op, 0, sizeof(*op));
  op->init_status = read_options(options, options_bytes, &op->params);
  return op;
}

SPARSESEP_COLD
SparsesepStatus sparsesep_fully_connected_prepare(const SparsesepHost* host,
                                                  void* op_data) {
  const SparsesepStatus status =
      op_data == NULL ? SPARSESEP_OUT_OF_MEMORY : prepare(host, op_data);
  if (status != SPARSESEP_OK) {
    host->report(host, SPARSESEP_OP_SPARSE_FULLY_CONNECTED,
                 sparsesep_status_message(status));
  }
  return status;
}

SparsesepStatus sparsesep_fully_connected_eval(const SparsesepHost* host,
                                               const void* op_data) {
  const SparsesepFullyConnectedOp* op = op_data;
  SparsesepTensor input;
  SparsesepTensor blob;
  SparsesepTensor output;
  host->get_tensor(host, SPARSESEP_SLOT_INPUT, &input);
  host->get_tensor(host, SPARSESEP_SLOT_WEIGHTS, &blob);
  host->get_tensor(host, SPARSESEP_SLOT_OUTPUT, &output);
  void* scratch =
      op->scratch_index < 0 ? NULL : host->get_scratch(host, op->scratch_index);
  op->variant->run(blob.data, &op->params, input.data, op->batch, output.data,
                   scratch);
  return SPARSESEP_OK;
}
