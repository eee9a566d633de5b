// SPARSE_CONV_2D on the CPU. Threads share the rows of outputs of all images.
#include <stdlib.h>

#include "core/sparse_conv_2d_op.h"
#include "cpu/operation.h"
#include "delegate_options.h"
#include "graph/core_port.h"

// With fewer weights times pixels, waking a thread does not pay.
#define WORTH_A_THREAD 16384

typedef struct ConvLayer {
  SparsesepCorePort port;
  SparsesepConvOp* op;
  const SparsesepSparseConv* conv;
  int32_t part_count;
  void* scratch[SPARSESEP_MAX_THREADS];  // the first part has the port's
  size_t element_bytes;
  // Set for each run.
  const uint8_t* input;
  const int8_t* residual;
  uint8_t* output;
} ConvLayer;

static void free_layer(void* state) {
  ConvLayer* layer = state;
  for (int32_t i = 0; i < SPARSESEP_MAX_THREADS; ++i) free(layer->scratch[i]);
  sparsesep_close_port(&layer->port);
  free(layer);
}

// False if memory runs out.
static bool divide(ConvLayer* layer, int32_t threads) {
  const SparsesepPackedHeader* h = sparsesep_sparse_conv_weights(layer->conv);
  const SparsesepConvShape* shape = &layer->op->shape;
  const int32_t rows = shape->batch * shape->output_height;
  const int64_t weights = (int64_t)h->blocks * h->block_rows * h->block_cols;
  layer->part_count =
      sparsesep_part_count(weights * rows * shape->output_width, WORTH_A_THREAD,
                           threads < rows ? threads : rows);
  const size_t bytes = (size_t)sparsesep_sparse_conv_scratch_bytes(
      layer->conv, shape, layer->op->variant);
  for (int32_t i = 1; i < layer->part_count; ++i) {
    layer->scratch[i] = aligned_alloc(16, (bytes + 16) / 16 * 16);
    if (layer->scratch[i] == NULL) return false;
  }
  return true;
}

static void* prepare_layer(const SparsesepCpuPrepare* prepare) {
  ConvLayer* layer = aligned_alloc(16, (sizeof(*layer) + 15) / 16 * 16);
  if (layer == NULL) return sparsesep_out_of_memory(prepare->context);
  *layer = (ConvLayer){.part_count = 1};
  layer->op = sparsesep_open_core_op(prepare->context, prepare->partition,
                                     prepare->operation, &layer->port);
  if (layer->op == NULL) {
    free_layer(layer);
    return NULL;
  }
  layer->conv = layer->port.tensors[SPARSESEP_SLOT_WEIGHTS].data;
  layer->element_bytes =
      sparsesep_sparse_conv_weights(layer->conv)->value_type ==
              SPARSESEP_VALUE_FLOAT32
          ? 4
          : 1;
  if (!divide(layer, prepare->threads)) {
    free_layer(layer);
    return sparsesep_out_of_memory(prepare->context);
  }
  return layer;
}

// Computes `count` rows of one image from row `first` on: an image whose first
// window begins further down.
static void run_rows(const ConvLayer* layer, int32_t image, int32_t first,
                     int32_t count, void* scratch) {
  const SparsesepSparseConv* conv = layer->conv;
  SparsesepConvShape shape = layer->op->shape;
  const size_t image_bytes = (size_t)shape.input_height *
                             (size_t)shape.input_width * conv->channels *
                             layer->element_bytes;
  const size_t row_bytes = (size_t)shape.output_width *
                           sparsesep_sparse_conv_weights(conv)->rows *
                           layer->element_bytes;
  const size_t row =
      (size_t)image * (size_t)shape.output_height + (size_t)first;
  shape.batch = 1;
  shape.output_height = count;
  shape.pad_top -= first * conv->stride_height;
  sparsesep_run_sparse_conv(conv, &shape, layer->op->variant,
                            layer->input + (size_t)image * image_bytes,
                            layer->output + row * row_bytes, scratch);
}

// Adds to `count` rows of all images, from row `first` on.
static void add_residual(const ConvLayer* layer, int32_t first, int32_t count,
                         void* scratch) {
  const size_t row_elements = (size_t)layer->op->shape.output_width *
                              sparsesep_sparse_conv_weights(layer->conv)->rows;
  const size_t offset = (size_t)first * row_elements;
  sparsesep_add_residual(layer->conv, layer->residual + offset,
                         (int8_t*)layer->output + offset,
                         (size_t)count * row_elements, scratch);
}

static void run_part(void* work, int32_t part) {
  const ConvLayer* layer = work;
  const int32_t height = layer->op->shape.output_height;
  const int64_t rows = (int64_t)layer->op->shape.batch * height;
  void* const scratch = part == 0 ? layer->port.scratch : layer->scratch[part];
  const int32_t start = (int32_t)(rows * part / layer->part_count);
  const int32_t end = (int32_t)(rows * (part + 1) / layer->part_count);
  int32_t row = start;
  while (row < end) {
    const int32_t first = row % height;
    const int32_t left = end - row;
    const int32_t count = left < height - first ? left : height - first;
    run_rows(layer, row / height, first, count, scratch);
    row += count;
  }
  if (sparsesep_has_residual(layer->conv)) {
    add_residual(layer, start, end - start, scratch);
  }
}

static void run_layer(void* state, SparsesepThreadPool* pool,
                      const SparsesepCpuRun* run) {
  ConvLayer* layer = state;
  layer->input = run->input;
  layer->residual = run->residual;
  layer->output = run->output;
  sparsesep_run_parts(pool, run_part, layer, layer->part_count);
}

const SparsesepCpuTable sparsesep_cpu_sparse_conv_2d = {prepare_layer,
                                                        run_layer, free_layer};
