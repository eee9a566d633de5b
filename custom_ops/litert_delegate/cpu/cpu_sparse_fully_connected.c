// SPARSE_FULLY_CONNECTED on the CPU. Threads share large layers by rows, as
// blobs of their own, and large batches by vectors.
#include <stdlib.h>

#include "core/sparse_fully_connected_op.h"
#include "cpu/operation.h"
#include "cpu/split_rows.h"
#include "delegate_options.h"
#include "graph/core_port.h"

// With fewer weights times vectors, waking a thread does not pay.
#define WORTH_A_THREAD 16384

typedef struct SparseLayer {
  SparsesepCorePort port;
  SparsesepFullyConnectedOp* op;
  const SparsesepPackedHeader* weights;
  // Per part: the blob of its rows, its first row, its scratch.
  int32_t part_count;  // 1: the op core runs the whole layer
  bool by_rows;
  SparsesepPackedHeader* parts[SPARSESEP_MAX_THREADS];
  uint32_t first_rows[SPARSESEP_MAX_THREADS];
  void* scratch[SPARSESEP_MAX_THREADS];
  size_t element_bytes;
  // Set for each run.
  const uint8_t* input;
  uint8_t* output;
} SparseLayer;

static void free_layer(void* state) {
  SparseLayer* layer = state;
  for (int32_t i = 0; i < SPARSESEP_MAX_THREADS; ++i) {
    free(layer->parts[i]);
    free(layer->scratch[i]);
  }
  sparsesep_close_port(&layer->port);
  free(layer);
}

// Decides how threads share the layer. False if memory runs out.
static bool divide(SparseLayer* layer, int32_t threads) {
  const SparsesepPackedHeader* h = layer->weights;
  const int32_t parts = sparsesep_part_count(
      (int64_t)h->blocks * h->block_rows * h->block_cols * layer->op->batch,
      WORTH_A_THREAD, threads);
  layer->part_count = 1;
  if (parts == 1) return true;
  layer->by_rows = layer->op->batch < 2 * parts;
  if (!layer->by_rows) {
    layer->part_count = parts;
  } else if (h->major == SPARSESEP_MAJOR_ROW) {
    layer->part_count =
        sparsesep_split_rows(h, parts, layer->parts, layer->first_rows);
    if (layer->part_count == 0) return false;
  }
  if (layer->part_count == 1) return true;
  for (int32_t i = 0; i < layer->part_count; ++i) {
    const SparsesepPackedHeader* part = layer->by_rows ? layer->parts[i] : h;
    const size_t bytes = layer->op->variant->scratch_bytes(
        part, layer->by_rows ? 1 : layer->op->batch);
    layer->scratch[i] = aligned_alloc(16, (bytes + 16) / 16 * 16);
    if (layer->scratch[i] == NULL) return false;
  }
  return true;
}

static void* prepare_layer(const SparsesepCpuPrepare* prepare) {
  SparseLayer* layer = aligned_alloc(16, (sizeof(*layer) + 15) / 16 * 16);
  if (layer == NULL) return sparsesep_out_of_memory(prepare->context);
  *layer = (SparseLayer){.part_count = 1};
  layer->op = sparsesep_open_core_op(prepare->context, prepare->partition,
                                     prepare->operation, &layer->port);
  if (layer->op == NULL) {
    free_layer(layer);
    return NULL;
  }
  layer->weights = layer->port.tensors[SPARSESEP_SLOT_WEIGHTS].data;
  layer->element_bytes =
      layer->weights->value_type == SPARSESEP_VALUE_FLOAT32 ? 4 : 1;
  if (!divide(layer, prepare->threads)) {
    free_layer(layer);
    return sparsesep_out_of_memory(prepare->context);
  }
  return layer;
}

static void run_vectors(const SparseLayer* layer, int32_t part) {
  const int64_t batch = layer->op->batch;
  const int64_t first = batch * part / layer->part_count;
  const int64_t end = batch * (part + 1) / layer->part_count;
  const size_t vector = (size_t)first * layer->element_bytes;
  const size_t step = (size_t)layer->op->params.input_step;
  layer->op->variant->run(layer->weights, &layer->op->params,
                          layer->input + vector * step, (int32_t)(end - first),
                          layer->output + vector * layer->weights->rows,
                          layer->scratch[part]);
}

static void run_part(void* work, int32_t part) {
  const SparseLayer* layer = work;
  if (!layer->by_rows) {
    run_vectors(layer, part);
    return;
  }
  const size_t step =
      (size_t)layer->op->params.input_step * layer->element_bytes;
  for (int32_t i = 0; i < layer->op->batch; ++i) {
    const size_t first =
        (size_t)i * layer->weights->rows + layer->first_rows[part];
    layer->op->variant->run(
        layer->parts[part], &layer->op->params, layer->input + (size_t)i * step,
        1, layer->output + first * layer->element_bytes, layer->scratch[part]);
  }
}

static void run_layer(void* state, SparsesepThreadPool* pool,
                      const SparsesepCpuRun* run) {
  SparseLayer* layer = state;
  if (layer->part_count > 1) {
    layer->input = run->input;
    layer->output = run->output;
    sparsesep_run_parts(pool, run_part, layer, layer->part_count);
    return;
  }
  layer->port.tensors[SPARSESEP_SLOT_INPUT].data = (void*)(uintptr_t)run->input;
  layer->port.tensors[SPARSESEP_SLOT_OUTPUT].data = run->output;
  sparsesep_fully_connected_eval(&layer->port.host, layer->op);
}

const SparsesepCpuTable sparsesep_cpu_sparse_fully_connected = {
    prepare_layer, run_layer, free_layer};
