// int8 FULLY_CONNECTED on the CPU, rounded as in TFLM.
#include <stdlib.h>

#include "cpu/operation.h"
#include "graph/dense_layer.h"
#include "sparsesep/requantize.h"

// Compilers vectorize the dot product. On x86-64 the loader can choose the
// version for the machine, but calls what chooses before ThreadSanitizer is
// ready.
#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && \
    !defined(__SANITIZE_THREAD__)
#define FOR_THIS_MACHINE \
  __attribute__((target_clones("arch=skylake-avx512", "avx2", "default")))
#else
#define FOR_THIS_MACHINE
#endif

// With fewer products, waking a thread does not pay.
#define WORTH_A_THREAD 131072

// This number of int8 products never overflows an int32.
#define PORTION 65536

typedef struct DenseLayer {
  SparsesepInt8Layer numbers;  // bias folded: - zero point * sum of the row
  const int8_t* weights;       // [rows][cols]
  int64_t rows;
  int64_t cols;
  int64_t batch;
  int32_t part_count;
  // Set for each run.
  const int8_t* input;
  int8_t* output;
} DenseLayer;

static void free_layer(void* state) {
  DenseLayer* layer = state;
  free(layer->numbers.bias);
  free(layer);
}

static void* prepare_layer(const SparsesepCpuPrepare* prepare) {
  const SparsesepOperation* operation = prepare->operation;
  const TfLiteFullyConnectedParams* params = operation->parameters;
  const TfLiteTensor* weights =
      sparsesep_tensor_of(prepare->context, operation->inputs, 1);
  DenseLayer* layer = calloc(1, sizeof(*layer));
  if (layer == NULL) return sparsesep_out_of_memory(prepare->context);
  layer->weights = weights->data;
  layer->rows = weights->dims->data[0];
  layer->cols = weights->dims->data[1];
  layer->batch = sparsesep_element_count(prepare->input) / layer->cols;
  layer->part_count =
      sparsesep_part_count(layer->rows * layer->cols * layer->batch,
                           WORTH_A_THREAD, prepare->threads);
  if (!sparsesep_read_int8_layer(prepare->context, operation,
                                 (int32_t)layer->rows, params->activation,
                                 &layer->numbers)) {
    free_layer(layer);
    return sparsesep_out_of_memory(prepare->context);
  }
  sparsesep_fold_zero_point(&layer->numbers, layer->weights, layer->rows,
                            layer->cols);
  return layer;
}

// Returns the sum of `count` products, at most PORTION.
FOR_THIS_MACHINE
static int32_t dot(const int8_t* a, const int8_t* b, int32_t count) {
  int32_t sum = 0;
  for (int32_t i = 0; i < count; ++i) sum += (int16_t)(a[i] * b[i]);
  return sum;
}

static int8_t run_row(const DenseLayer* layer, int64_t row,
                      const int8_t* vector) {
  const SparsesepInt8Layer* numbers = &layer->numbers;
  uint32_t acc = (uint32_t)numbers->bias[row];
  for (int64_t col = 0; col < layer->cols; col += PORTION) {
    const int64_t left = layer->cols - col;
    acc += (uint32_t)dot(layer->weights + row * layer->cols + col, vector + col,
                         (int32_t)(left < PORTION ? left : PORTION));
  }
  const int32_t value =
      sparsesep_requantize(acc, numbers->multiplier[row], numbers->shift[row]);
  return sparsesep_clamp_to_int8(value, numbers->output_zero_point,
                                 numbers->limits.min, numbers->limits.max);
}

static void run_part(void* work, int32_t part) {
  const DenseLayer* layer = work;
  const int64_t first = layer->rows * part / layer->part_count;
  const int64_t end = layer->rows * (part + 1) / layer->part_count;
  for (int64_t i = 0; i < layer->batch; ++i) {
    const int8_t* vector = layer->input + i * layer->cols;
    int8_t* out = layer->output + i * layer->rows;
    for (int64_t row = first; row < end; ++row) {
      out[row] = run_row(layer, row, vector);
    }
  }
}

static void run_layer(void* state, SparsesepThreadPool* pool,
                      const SparsesepCpuRun* run) {
  DenseLayer* layer = state;
  layer->input = run->input;
  layer->output = run->output;
  sparsesep_run_parts(pool, run_part, layer, layer->part_count);
}

const SparsesepCpuTable sparsesep_cpu_fully_connected = {prepare_layer,
                                                         run_layer, free_layer};
