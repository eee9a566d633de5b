#include "host_port.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "core/paged_fully_connected_op.h"
#include "core/paged_status_message.h"
#include "core/separable_conv_2d_op.h"
#include "core/sparse_conv_2d_op.h"
#include "core/sparse_fully_connected_op.h"
#include "sparsesep/paged_weights.h"
#include "sparsesep/sparsesep.h"

// One layer's tensors and memory; lives for one call.
typedef struct Layer {
  SparsesepTensor tensors[3];  // by SparsesepTensorSlot
  int32_t dims[3][4];
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

static void set_tensor(Layer* layer, SparsesepTensorSlot slot, const void* data,
                       SparsesepTensorType type, int32_t rank, int32_t dim0,
                       int32_t dim1) {
  int32_t* dims = layer->dims[slot];
  dims[0] = dim0;
  dims[1] = dim1;
  layer->tensors[slot] =
      (SparsesepTensor){(void*)(uintptr_t)data, dims, rank, type};
}

static SparsesepHost make_host(Layer* layer) {
  return (SparsesepHost){
      layer,           NULL,        get_tensor, allocate_persistent,
      request_scratch, get_scratch, report};
}

static void set_fully_connected(Layer* layer, const void* weights,
                                int32_t weights_bytes, SparsesepTensorType type,
                                const void* input, int32_t elements,
                                void* output, int32_t rows, int32_t batch) {
  memset(layer, 0, sizeof(*layer));
  set_tensor(layer, SPARSESEP_SLOT_INPUT, input, type, 1, elements, 0);
  set_tensor(layer, SPARSESEP_SLOT_WEIGHTS, weights, SPARSESEP_TENSOR_UINT8, 1,
             weights_bytes, 0);
  set_tensor(layer, SPARSESEP_SLOT_OUTPUT, output, type, 2, batch, rows);
}

SparsesepStatus sparsesep_host_sparse_fully_connected(
    const void* options, size_t options_bytes, const void* blob,
    size_t blob_bytes, SparsesepTensorType type, const void* input,
    int32_t elements, void* output, int32_t rows, int32_t batch) {
  Layer layer;
  if (blob_bytes > INT32_MAX) return SPARSESEP_BAD_TENSOR;
  set_fully_connected(&layer, blob, (int32_t)blob_bytes, type, input, elements,
                      output, rows, batch);
  const SparsesepHost host = make_host(&layer);

  void* op = sparsesep_fully_connected_init(&host, options, options_bytes);
  const SparsesepStatus status = sparsesep_fully_connected_prepare(&host, op);
  if (status == SPARSESEP_OK) sparsesep_fully_connected_eval(&host, op);
  free(layer.scratch);
  return status;
}

SparsesepStatus sparsesep_host_paged_fully_connected(
    const void* options, size_t options_bytes, const void* weights,
    size_t weights_bytes, const SparsesepExternalMemory* memory,
    SparsesepTensorType type, const void* input, int32_t elements, void* output,
    int32_t rows, int32_t batch, int32_t evals, size_t* scratch_bytes) {
  Layer layer;
  if (weights_bytes > INT32_MAX) return SPARSESEP_BAD_TENSOR;
  set_fully_connected(&layer, weights, (int32_t)weights_bytes, type, input,
                      elements, output, rows, batch);
  const SparsesepHost host = make_host(&layer);

  void* op = sparsesep_paged_fully_connected_init(&host, options, options_bytes,
                                                  memory);
  SparsesepStatus status = sparsesep_paged_fully_connected_prepare(&host, op);
  for (; status == SPARSESEP_OK && evals > 0; --evals) {
    status = sparsesep_paged_fully_connected_eval(&host, op);
  }
  if (scratch_bytes != NULL) *scratch_bytes = layer.scratch_bytes;
  free(layer.scratch);
  return status;
}

// False where the blob is too large for a tensor.
static bool set_convolution(Layer* layer, const void* blob, size_t blob_bytes,
                            SparsesepTensorType type, const void* input,
                            const int32_t* input_shape, void* output,
                            const int32_t* output_shape) {
  memset(layer, 0, sizeof(*layer));
  if (blob_bytes > INT32_MAX) return false;
  set_tensor(layer, SPARSESEP_SLOT_INPUT, input, type, 4, 0, 0);
  set_tensor(layer, SPARSESEP_SLOT_WEIGHTS, blob, SPARSESEP_TENSOR_UINT8, 1,
             (int32_t)blob_bytes, 0);
  set_tensor(layer, SPARSESEP_SLOT_OUTPUT, output, type, 4, 0, 0);
  memcpy(layer->dims[SPARSESEP_SLOT_INPUT], input_shape,
         sizeof(layer->dims[0]));
  memcpy(layer->dims[SPARSESEP_SLOT_OUTPUT], output_shape,
         sizeof(layer->dims[0]));
  return true;
}

SparsesepStatus sparsesep_host_separable_conv_2d(
    const void* blob, size_t blob_bytes, SparsesepTensorType type,
    const void* input, const int32_t* input_shape, void* output,
    const int32_t* output_shape) {
  Layer layer;
  if (!set_convolution(&layer, blob, blob_bytes, type, input, input_shape,
                       output, output_shape)) {
    return SPARSESEP_BAD_TENSOR;
  }
  const SparsesepHost host = make_host(&layer);

  void* op = sparsesep_separable_conv_init(&host, NULL, 0);
  const SparsesepStatus status = sparsesep_separable_conv_prepare(&host, op);
  if (status == SPARSESEP_OK) sparsesep_separable_conv_eval(&host, op);
  free(layer.scratch);
  return status;
}

SparsesepStatus sparsesep_host_sparse_conv_2d(
    const void* blob, size_t blob_bytes, SparsesepTensorType type,
    const void* input, const int32_t* input_shape, void* output,
    const int32_t* output_shape, size_t* scratch_bytes) {
  Layer layer;
  if (!set_convolution(&layer, blob, blob_bytes, type, input, input_shape,
                       output, output_shape)) {
    return SPARSESEP_BAD_TENSOR;
  }
  const SparsesepHost host = make_host(&layer);

  void* op = sparsesep_sparse_conv_init(&host, NULL, 0);
  const SparsesepStatus status = sparsesep_sparse_conv_prepare(&host, op);
  if (status == SPARSESEP_OK) sparsesep_sparse_conv_eval(&host, op);
  if (scratch_bytes != NULL) *scratch_bytes = layer.scratch_bytes;
  free(layer.scratch);
  return status;
}

SparsesepStatus sparsesep_host_validate_sparse_conv(const void* blob,
                                                    size_t blob_bytes) {
  return sparsesep_validate_sparse_conv(blob, blob_bytes);
}

SparsesepStatus sparsesep_host_validate_separable_conv(const void* blob,
                                                       size_t blob_bytes) {
  return sparsesep_validate_separable_conv(blob, blob_bytes);
}

SparsesepStatus sparsesep_host_validate(const void* blob, size_t blob_bytes) {
  return sparsesep_validate_packed_weights(blob, blob_bytes);
}

uint32_t sparsesep_host_page_checksum(const void* page, uint32_t bytes) {
  return sparsesep_page_checksum(0, page, bytes);
}

const char* sparsesep_host_variant_name(const void* blob) {
  const SparsesepFullyConnectedVariant* variant =
      sparsesep_select_fully_connected(blob);
  return variant == NULL ? NULL
                         : sparsesep_fully_connected_variant_name(variant);
}

uint32_t sparsesep_host_scratch_bytes(const void* blob, int32_t batch) {
  const SparsesepFullyConnectedVariant* variant =
      sparsesep_select_fully_connected(blob);
  return variant == NULL ? 0 : variant->scratch_bytes(blob, batch);
}

const char* sparsesep_host_status_message(SparsesepStatus status) {
  return sparsesep_paged_status_message(status);
}
