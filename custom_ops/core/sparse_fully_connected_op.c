#include "sparse_fully_connected_op.h"

#include <string.h>

#include "fully_connected_fit.h"
#include "op_names.h"
#include "sparsesep/compiler.h"

_Static_assert(sizeof(SparsesepFullyConnectedOp) <= 64,
               "persistent arena per operator");

// The first word of custom_options: version and size.
#define HEAD (SPARSESEP_OPTIONS_VERSION | SPARSESEP_OPTIONS_BYTES << 16)
#define HEAD_WINDOWS \
  (SPARSESEP_OPTIONS_VERSION_WINDOWS | SPARSESEP_OPTIONS_BYTES_WINDOWS << 16)

// Leaves input_step 0 where vectors lie side by side.
static SparsesepStatus read_options(const void* bytes, size_t size,
                                    SparsesepFullyConnectedParams* params) {
  uint32_t head;
  if (bytes == NULL || (size != SPARSESEP_OPTIONS_BYTES &&
                        size != SPARSESEP_OPTIONS_BYTES_WINDOWS)) {
    return SPARSESEP_BAD_OPTIONS;
  }
  memcpy(&head, bytes, sizeof(head));
  memcpy(params, (const uint8_t*)bytes + sizeof(head), size - sizeof(head));
  if (size == SPARSESEP_OPTIONS_BYTES) {
    return head == HEAD ? SPARSESEP_OK : SPARSESEP_BAD_OPTIONS;
  }
  return head == HEAD_WINDOWS && params->input_step > 0 &&
                 params->input_step <= SPARSESEP_PACKED_MAX_DIM
             ? SPARSESEP_OK
             : SPARSESEP_BAD_OPTIONS;
}

SPARSESEP_COLD
static SparsesepStatus prepare(const SparsesepHost* host,
                               SparsesepFullyConnectedOp* op) {
  if (op->init_status != SPARSESEP_OK) return op->init_status;

  SparsesepTensor tensor;
  const uint32_t bytes = sparsesep_vector_count(
      host, SPARSESEP_SLOT_WEIGHTS, SPARSESEP_TENSOR_UINT8, 1, &tensor);
  // Kernels read words in place: the model file aligns the blob, and the
  // caller must not have loaded the file at an odd address.
  const SparsesepPackedHeader* weights = tensor.data;
  if (bytes == 0 || weights == NULL ||
      (uintptr_t)weights % sizeof(uint32_t) != 0) {
    return SPARSESEP_BAD_TENSOR;
  }
  SparsesepStatus status = sparsesep_validate_packed_weights(weights, bytes);
  if (status != SPARSESEP_OK) return status;

  status = sparsesep_fully_connected_fit(host, op, weights);
  if (status != SPARSESEP_OK) return status;
  const uint32_t scratch = op->variant->scratch_bytes(weights, op->batch);
  op->scratch_index = -1;
  if (scratch == 0) return SPARSESEP_OK;
  return host->request_scratch(host, scratch, &op->scratch_index);
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
