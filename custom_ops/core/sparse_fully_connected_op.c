#include "sparse_fully_connected_op.h"

#include <stdbool.h>
#include <string.h>

#include "fully_connected_fit.h"
#include "op_names.h"
#include "operator.h"
#include "sparsesep/compiler.h"

_Static_assert(sizeof(SparsesepFullyConnectedOp) <= 64,
               "persistent arena per operator");

// Leaves input_step 0 where vectors lie side by side.
static SparsesepStatus read_options(const void* options, size_t size,
                                    SparsesepFullyConnectedParams* params) {
  const uint32_t head = sparsesep_options_head(options, size);
  const bool windows = head == SPARSESEP_OPTIONS_HEAD_WINDOWS;
  const size_t bytes =
      windows ? SPARSESEP_OPTIONS_BYTES_WINDOWS : SPARSESEP_OPTIONS_BYTES;
  if ((head != SPARSESEP_OPTIONS_HEAD && !windows) || size < bytes) {
    return SPARSESEP_BAD_OPTIONS;
  }
  memcpy(params, (const uint8_t*)options + sizeof(head), bytes - sizeof(head));
  return !windows || (params->input_step > 0 &&
                      params->input_step <= SPARSESEP_PACKED_MAX_DIM)
             ? SPARSESEP_OK
             : SPARSESEP_BAD_OPTIONS;
}

SPARSESEP_COLD
static SparsesepStatus prepare(const SparsesepHost* host,
                               SparsesepFullyConnectedOp* op) {
  const void* weights = NULL;
  size_t bytes = 0;
  if (op == NULL) return SPARSESEP_OUT_OF_MEMORY;
  SparsesepStatus status = op->init_status;
  if (status == SPARSESEP_OK) {
    status = sparsesep_get_blob(host, &weights, &bytes);
  }
  if (status == SPARSESEP_OK) {
    status = sparsesep_validate_packed_weights(weights, bytes);
  }
  if (status == SPARSESEP_OK) {
    status = sparsesep_fully_connected_fit(host, op, weights);
  }
  if (status != SPARSESEP_OK) return status;
  op->weights = weights;
  return sparsesep_reserve_scratch(
      host, op->variant->scratch_bytes(weights, op->batch), &op->scratch_index);
}

SPARSESEP_COLD
void* sparsesep_fully_connected_init(const SparsesepHost* host,
                                     const void* options,
                                     size_t options_bytes) {
  SparsesepFullyConnectedOp* op = sparsesep_allocate_op(host, sizeof(*op));
  if (op == NULL) return NULL;
  op->init_status = read_options(options, options_bytes, &op->params);
  return op;
}

SPARSESEP_COLD
SparsesepStatus sparsesep_fully_connected_prepare(const SparsesepHost* host,
                                                  void* op_data) {
  return sparsesep_report(host, SPARSESEP_OP_SPARSE_FULLY_CONNECTED,
                          prepare(host, op_data));
}

SparsesepStatus sparsesep_fully_connected_eval(const SparsesepHost* host,
                                               const void* op_data) {
  const SparsesepFullyConnectedOp* op = op_data;
  SparsesepActivations activations;
  sparsesep_get_activations(host, &activations);
  void* scratch = sparsesep_scratch(host, op->scratch_index);
  op->variant->run(op->weights, &op->params, activations.input.data, op->batch,
                   activations.output.data, scratch);
  return SPARSESEP_OK;
}
