// Runs partitions on the CPU, in TFLM's arithmetic.
//
// Besides this project's operators it claims int8 FULLY_CONNECTED and
// SOFTMAX, which LiteRT rounds differently from TFLM, so that models of
// these operators give the same bytes on a phone and on a microcontroller.
// dense=litert leaves both to LiteRT, which is faster.
#include <stdlib.h>

#include "backend.h"
#include "cpu/operation.h"

typedef struct CpuBackend {
  SparsesepThreadPool* pool;
  bool leave_dense;
} CpuBackend;

typedef struct CpuRunner {
  CpuBackend* backend;
  const SparsesepPartition* partition;
  void** slots;   // memory of the tensors inside the partition
  void** states;  // of the operations
} CpuRunner;

static const SparsesepCpuTable* table_of(const SparsesepOperation* operation) {
  switch (operation->kind) {
    case SPARSESEP_SPARSE_FULLY_CONNECTED:
      return &sparsesep_cpu_sparse_fully_connected;
    case SPARSESEP_SEPARABLE_CONV_2D:
      return &sparsesep_cpu_separable_conv_2d;
    case SPARSESEP_SPARSE_CONV_2D:
      return &sparsesep_cpu_sparse_conv_2d;
    case SPARSESEP_FULLY_CONNECTED:
      return &sparsesep_cpu_fully_connected;
    case SPARSESEP_SOFTMAX:
      return &sparsesep_cpu_softmax;
    default:
      return NULL;
  }
}

static bool claims(const void* pointer, const TfLiteContext* context,
                   const SparsesepOperation* operation) {
  const CpuBackend* backend = pointer;
  const TfLiteTensor* input =
      sparsesep_tensor_of(context, operation->inputs, 0);
  if (table_of(operation) == NULL) return false;
  return sparsesep_is_custom(operation->kind) ||
         (input->type == kTfLiteInt8 && !backend->leave_dense);
}

static void free_runner(void* pointer) {
  CpuRunner* runner = pointer;
  for (int32_t i = 0;
       runner->states != NULL && i < runner->partition->operation_count; ++i) {
    const SparsesepCpuTable* table =
        table_of(&runner->partition->operations[i]);
    if (runner->states[i] != NULL) table->free(runner->states[i]);
  }
  for (int32_t i = 0;
       runner->slots != NULL && i < runner->partition->slot_count; ++i) {
    free(runner->slots[i]);
  }
  free(runner->states);
  free(runner->slots);
  free(runner);
}

static bool allocate(CpuRunner* runner) {
  const SparsesepPartition* partition = runner->partition;
  runner->slots = calloc((size_t)partition->slot_count + 1, sizeof(void*));
  runner->states = calloc((size_t)partition->operation_count, sizeof(void*));
  if (runner->slots == NULL || runner->states == NULL) return false;
  for (int32_t i = 0; i < partition->slot_count; ++i) {
    runner->slots[i] = malloc(partition->slot_bytes[i]);
    if (runner->slots[i] == NULL) return false;
  }
  return true;
}

static bool prepare_operations(CpuRunner* runner, TfLiteContext* context) {
  const SparsesepPartition* partition = runner->partition;
  for (int32_t i = 0; i < partition->operation_count; ++i) {
    const SparsesepOperation* operation = &partition->operations[i];
    const SparsesepCpuPrepare prepare = {
        context, partition, operation,
        &sparsesep_partition_input(partition, operation, 0)->shape,
        sparsesep_thread_count(runner->backend->pool)};
    runner->states[i] = table_of(operation)->prepare(&prepare);
    if (runner->states[i] == NULL) return false;
  }
  return true;
}

static void* prepare_runner(void* backend, TfLiteContext* context,
                            SparsesepPartition* partition) {
  if (!sparsesep_plan_partition(partition, context, true)) return NULL;
  CpuRunner* runner = calloc(1, sizeof(*runner));
  if (runner == NULL) return sparsesep_out_of_memory(context);
  runner->backend = backend;
  runner->partition = partition;
  if (!allocate(runner)) {
    free_runner(runner);
    return sparsesep_out_of_memory(context);
  }
  if (!prepare_operations(runner, context)) {
    free_runner(runner);
    return NULL;
  }
  return runner;
}

// `tensor` may be NULL, as the result then is.
static void* memory_of(const CpuRunner* runner, const TfLiteContext* context,
                       const SparsesepPartitionTensor* tensor) {
  if (tensor == NULL) return NULL;
  return tensor->slot < 0 ? context->tensors[tensor->index].data
                          : runner->slots[tensor->slot];
}

static bool run(void* pointer, TfLiteContext* context) {
  const CpuRunner* runner = pointer;
  const SparsesepPartition* partition = runner->partition;
  for (int32_t i = 0; i < partition->operation_count; ++i) {
    const SparsesepOperation* operation = &partition->operations[i];
    const SparsesepCpuRun tensors = {
        memory_of(runner, context,
                  sparsesep_partition_input(partition, operation, 0)),
        memory_of(runner, context,
                  sparsesep_partition_input(partition, operation, 2)),
        memory_of(runner, context,
                  sparsesep_partition_output(partition, operation))};
    table_of(operation)->run(runner->states[i], runner->backend->pool,
                             &tensors);
  }
  return true;
}

void* sparsesep_create_cpu_backend(const SparsesepDelegateOptions* options) {
  CpuBackend* backend = calloc(1, sizeof(*backend));
  if (backend == NULL) return NULL;
  backend->leave_dense = options->leave_dense;
  backend->pool = sparsesep_create_thread_pool(options->threads);
  if (backend->pool == NULL) {
    free(backend);
    return NULL;
  }
  return backend;
}

static void free_backend(void* pointer) {
  CpuBackend* backend = pointer;
  sparsesep_free_thread_pool(backend->pool);
  free(backend);
}

const SparsesepBackendTable sparsesep_cpu_backend = {
    "the CPU", claims, prepare_runner, run, free_runner, free_backend,
};
