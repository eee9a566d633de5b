// SEPARABLE_CONV_2D and SPARSE_CONV_2D on the CPU, in the op core.
#include <stdlib.h>

#include "core/separable_conv_2d_op.h"
#include "core/sparse_conv_2d_op.h"
#include "cpu/operation.h"
#include "graph/core_port.h"

typedef struct BlobConvolution {
  SparsesepCorePort port;
  SparsesepStatus (*eval)(const SparsesepHost* host, const void* op);
  const void* op;
} BlobConvolution;

static void free_layer(void* state) {
  BlobConvolution* layer = state;
  sparsesep_close_port(&layer->port);
  free(layer);
}

static void* prepare_layer(const SparsesepCpuPrepare* prepare) {
  BlobConvolution* layer = aligned_alloc(16, (sizeof(*layer) + 15) / 16 * 16);
  if (layer == NULL) return sparsesep_out_of_memory(prepare->context);
  layer->eval = prepare->operation->kind == SPARSESEP_SPARSE_CONV_2D
                    ? sparsesep_sparse_conv_eval
                    : sparsesep_separable_conv_eval;
  layer->op =
      sparsesep_open_core_op(prepare->context, prepare->operation,
                             prepare->input, prepare->output, &layer->port);
  if (layer->op != NULL) return layer;
  free_layer(layer);
  return NULL;
}

static void run_layer(void* state, SparsesepThreadPool* pool, const void* input,
                      void* output) {
  (void)pool;
  BlobConvolution* layer = state;
  layer->port.tensors[SPARSESEP_SLOT_INPUT].data = (void*)(uintptr_t)input;
  layer->port.tensors[SPARSESEP_SLOT_OUTPUT].data = output;
  layer->eval(&layer->port.host, layer->op);
}

const SparsesepCpuTable sparsesep_cpu_blob_convolution = {
    prepare_layer, run_layer, free_layer};
