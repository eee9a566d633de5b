// SEPARABLE_CONV_2D on the CPU, in the op core.
#include <stdlib.h>

#include "core/separable_conv_2d_op.h"
#include "cpu/operation.h"
#include "graph/core_port.h"

typedef struct SeparableLayer {
  SparsesepCorePort port;
  const void* op;
} SeparableLayer;

static void free_layer(void* state) {
  SeparableLayer* layer = state;
  sparsesep_close_port(&layer->port);
  free(layer);
}

static void* prepare_layer(const SparsesepCpuPrepare* prepare) {
  SeparableLayer* layer = aligned_alloc(16, (sizeof(*layer) + 15) / 16 * 16);
  if (layer == NULL) return sparsesep_out_of_memory(prepare->context);
  layer->op = sparsesep_open_core_op(prepare->context, prepare->partition,
                                     prepare->operation, &layer->port);
  if (layer->op != NULL) return layer;
  free_layer(layer);
  return NULL;
}

static void run_layer(void* state, SparsesepThreadPool* pool,
                      const SparsesepCpuRun* run) {
  (void)pool;
  SeparableLayer* layer = state;
  layer->port.tensors[SPARSESEP_SLOT_INPUT].data = (void*)(uintptr_t)run->input;
  layer->port.tensors[SPARSESEP_SLOT_OUTPUT].data = run->output;
  sparsesep_separable_conv_eval(&layer->port.host, layer->op);
}

const SparsesepCpuTable sparsesep_cpu_separable_conv_2d = {
    prepare_layer, run_layer, free_layer};
