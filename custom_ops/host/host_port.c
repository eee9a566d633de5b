#include "host_port.h"

#include <stdlib.h>
#include <string.h>

#include "core/paged_fully_connected_op.h"
#include "core/paged_sparse_conv_2d_op.h"
#include "core/pages.h"
#include "core/separable_conv_2d_op.h"
#include "core/sparse_conv_2d_op.h"
#include "core/sparse_fully_connected_op.h"
#include "op_names.h"
#include "sparsesep/paged_weights.h"
#include "sparsesep/sparsesep.h"

// One operator's tensors and memory; lives for one call.
typedef struct Layer {
  const SparsesepTensor* tensors;  // by SparsesepTensorSlot
  _Alignas(16) uint8_t persistent[128];
  size_t persistent_used;
  void* scratch;
  size_t scratch_bytes;
} Layer;

static SparsesepStatus get_tensor(const SparsesepHost* host,
                                  SparsesepTensorSlot slot,
                                  SparsesepTensor* tensor) {
  const Layer* layer = host->context;
  *tensor = layer->tensors[slot];
  return SPARSESEP_OK;
}

static void* allocate_persistent(const SparsesepHost* host, size_t bytes) {
  Layer* layer = host->context;
  const size_t start = layer->persistent_used;
  const size_t used = (start + bytes + 15) / 16 * 16;
  if (used > sizeof(layer->persistent)) return NULL;
  layer->persistent_used = used;
  return layer->persistent + start;
}

static SparsesepStatus request_scratch(const SparsesepHost* host, size_t bytes,
                                       int* scratch_index) {
  Layer* layer = host->context;
  *scratch_index = 0;
  layer->scratch_bytes = bytes;
  layer->scratch = aligned_alloc(16, (bytes + 15) / 16 * 16);
  return layer->scratch == NULL ? SPARSESEP_OUT_OF_MEMORY : SPARSESEP_OK;
}

static void* get_scratch(const SparsesepHost* host, int scratch_index) {
  const Layer* layer = host->context;
  (void)scratch_index;
  return layer->scratch;
}

static void report(const SparsesepHost* host, const char* op_name,
                   const char* message) {
  // The caller gets the status and asks for its message.
  (void)host;
  (void)op_name;
  (void)message;
}

// Prepares and evaluates `op`, whose functions begin with `core`.
#define RUN(core, op)                                      \
  do {                                                     \
    void* const op_data = (op);                            \
    status = core##_prepare(&host, op_data);               \
    for (; status == SPARSESEP_OK && evals > 0; --evals) { \
      status = core##_eval(&host, op_data);                \
    }                                                      \
  } while (0)

SparsesepStatus sparsesep_host_run(const char* op_name, const void* options,
                                   size_t options_bytes,
                                   const SparsesepTensor* tensors,
                                   const SparsesepExternalMemory* memory,
                                   int32_t evals, size_t* scratch_bytes) {
  Layer layer = {.tensors = tensors};
  const SparsesepHost host = {
      &layer,          NULL,        get_tensor, allocate_persistent,
      request_scratch, get_scratch, report};
  SparsesepStatus status;
  if (strcmp(op_name, SPARSESEP_OP_SEPARABLE_CONV_2D) == 0) {
    RUN(sparsesep_separable_conv,
        sparsesep_separable_conv_init(&host, options, options_bytes));
  } else if (strcmp(op_name, SPARSESEP_OP_SPARSE_CONV_2D) == 0 &&
             memory != NULL) {
    RUN(sparsesep_paged_sparse_conv,
        sparsesep_paged_sparse_conv_init(&host, options, options_bytes,
                                         memory));
  } else if (strcmp(op_name, SPARSESEP_OP_SPARSE_CONV_2D) == 0) {
    RUN(sparsesep_sparse_conv,
        sparsesep_sparse_conv_init(&host, options, options_bytes));
  } else if (memory != NULL) {
    RUN(sparsesep_paged_fully_connected,
        sparsesep_paged_fully_connected_init(&host, options, options_bytes,
                                             memory));
  } else {
    RUN(sparsesep_fully_connected,
        sparsesep_fully_connected_init(&host, options, options_bytes));
  }
  if (scratch_bytes != NULL) *scratch_bytes = layer.scratch_bytes;
  free(layer.scratch);
  return status;
}

SparsesepStatus sparsesep_host_validate(const void* blob, size_t blob_bytes) {
  return sparsesep_validate_packed_weights(blob, blob_bytes);
}

SparsesepStatus sparsesep_host_validate_separable_conv(const void* blob,
                                                       size_t blob_bytes) {
  return sparsesep_validate_separable_conv(blob, blob_bytes);
}

SparsesepStatus sparsesep_host_validate_sparse_conv(const void* blob,
                                                    size_t blob_bytes) {
  return sparsesep_validate_sparse_conv(blob, blob_bytes);
}

uint32_t sparsesep_host_page_checksum(const void* page, uint32_t bytes) {
  return sparsesep_page_checksum(0, page, bytes);
}

const char* sparsesep_host_status_message(SparsesepStatus status) {
  return sparsesep_paged_status_message(status);
}
