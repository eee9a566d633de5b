#include "graph/core_port.h"

#include <stdlib.h>
#include <string.h>

#include "core/separable_conv_2d_op.h"
#include "core/sparse_conv_2d_op.h"
#include "core/sparse_fully_connected_op.h"
#include "message.h"

static SparsesepStatus get_tensor(const SparsesepHost* host,
                                  SparsesepTensorSlot slot,
                                  SparsesepTensor* tensor) {
  const SparsesepCorePort* port = host->context;
  *tensor = port->tensors[slot];
  return tensor->dims == NULL ? SPARSESEP_BAD_TENSOR : SPARSESEP_OK;
}

static void* allocate_persistent(const SparsesepHost* host, size_t bytes) {
  SparsesepCorePort* port = host->context;
  return bytes <= sizeof(port->persistent) ? port->persistent : NULL;
}

static SparsesepStatus request_scratch(const SparsesepHost* host, size_t bytes,
                                       int* scratch_index) {
  SparsesepCorePort* port = host->context;
  *scratch_index = 0;
  port->scratch = aligned_alloc(16, (bytes + 16) / 16 * 16);
  if (port->scratch != NULL) return SPARSESEP_OK;
  sparsesep_out_of_memory(port->runtime);
  return SPARSESEP_OUT_OF_MEMORY;
}

static void* get_scratch(const SparsesepHost* host, int scratch_index) {
  const SparsesepCorePort* port = host->context;
  (void)scratch_index;
  return port->scratch;
}

static void report(const SparsesepHost* host, const char* op_name,
                   const char* message) {
  const SparsesepCorePort* port = host->context;
  port->runtime->ReportError(port->runtime, "%s: %s", op_name, message);
}

static SparsesepTensorType tensor_type(TfLiteType type) {
  switch (type) {
    case kTfLiteInt8:
      return SPARSESEP_TENSOR_INT8;
    case kTfLiteUInt8:
      return SPARSESEP_TENSOR_UINT8;
    case kTfLiteFloat32:
      return SPARSESEP_TENSOR_FLOAT32;
    default:
      return SPARSESEP_TENSOR_OTHER;
  }
}

// `tensor` may be NULL.
static SparsesepTensor activation(const SparsesepPartitionTensor* tensor) {
  if (tensor == NULL) return (SparsesepTensor){0};
  return (SparsesepTensor){NULL, tensor->shape.dims, tensor->shape.rank,
                           tensor_type(tensor->type)};
}

// Copies a blob that the runtime has not aligned: kernels read words in
// place. A blob too large for the op core has size 0, which the core
// refuses.
static bool align_blob(SparsesepCorePort* port, const TfLiteTensor* blob) {
  const size_t bytes = (size_t)port->blob_bytes;
  if ((uintptr_t)blob->data % 16 == 0 || bytes == 0) return true;
  port->blob_copy = aligned_alloc(16, (bytes + 16) / 16 * 16);
  if (port->blob_copy == NULL) return false;
  memcpy(port->blob_copy, blob->data, bytes);
  port->tensors[SPARSESEP_SLOT_WEIGHTS].data = port->blob_copy;
  return true;
}

static bool open_port(TfLiteContext* context,
                      const SparsesepPartition* partition,
                      const SparsesepOperation* operation,
                      SparsesepCorePort* port) {
  const TfLiteTensor* blob = sparsesep_tensor_of(context, operation->inputs, 1);
  memset(port, 0, sizeof(*port));
  port->host = (SparsesepHost){
      .context = port,
      .get_tensor = get_tensor,
      .allocate_persistent = allocate_persistent,
      .request_scratch = request_scratch,
      .get_scratch = get_scratch,
      .report = report,
  };
  port->runtime = context;
  port->blob_bytes = blob->bytes > INT32_MAX ? 0 : (int32_t)blob->bytes;
  port->tensors[SPARSESEP_SLOT_WEIGHTS] = (SparsesepTensor){
      blob->data, &port->blob_bytes, 1, tensor_type(blob->type)};
  const SparsesepTensorSlot slots[] = {SPARSESEP_SLOT_INPUT,
                                       SPARSESEP_SLOT_RESIDUAL};
  for (int i = 0; i < 2; ++i) {
    port->tensors[slots[i]] = activation(sparsesep_partition_input(
        partition, operation, sparsesep_input_of_slot(slots[i])));
  }
  port->tensors[SPARSESEP_SLOT_OUTPUT] =
      activation(sparsesep_partition_output(partition, operation));
  return align_blob(port, blob);
}

typedef void* (*Init)(const SparsesepHost* host, const void* options,
                      size_t options_bytes);
typedef SparsesepStatus (*Prepare)(const SparsesepHost* host, void* op);

static const struct {
  Init init;
  Prepare prepare;
} cores[] = {
    [SPARSESEP_SPARSE_FULLY_CONNECTED] = {sparsesep_fully_connected_init,
                                          sparsesep_fully_connected_prepare},
    [SPARSESEP_SEPARABLE_CONV_2D] = {sparsesep_separable_conv_init,
                                     sparsesep_separable_conv_prepare},
    [SPARSESEP_SPARSE_CONV_2D] = {sparsesep_sparse_conv_init,
                                  sparsesep_sparse_conv_prepare},
};

void* sparsesep_open_core_op(TfLiteContext* context,
                             const SparsesepPartition* partition,
                             const SparsesepOperation* operation,
                             SparsesepCorePort* port) {
  if (!open_port(context, partition, operation, port)) {
    return sparsesep_out_of_memory(context);
  }
  const SparsesepHost* host = &port->host;
  void* op = cores[operation->kind].init(host, operation->options,
                                         operation->options_bytes);
  return cores[operation->kind].prepare(host, op) == SPARSESEP_OK ? op : NULL;
}

void sparsesep_close_port(SparsesepCorePort* port) {
  free(port->scratch);
  free(port->blob_copy);
}
