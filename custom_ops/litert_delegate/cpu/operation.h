// Operators on the CPU: how each kind is made ready and run.
#ifndef SPARSESEP_DELEGATE_CPU_OPERATION_H_
#define SPARSESEP_DELEGATE_CPU_OPERATION_H_

#include "cpu/thread_pool.h"
#include "graph/operation.h"
#include "message.h"

// What an operator is made ready from.
typedef struct SparsesepCpuPrepare {
  TfLiteContext* context;
  const SparsesepOperation* operation;
  const SparsesepShape* input;
  const SparsesepShape* output;
  int32_t threads;
} SparsesepCpuPrepare;

typedef struct SparsesepCpuTable {
  // The operator's state, or NULL, reported to the runtime.
  void* (*prepare)(const SparsesepCpuPrepare* prepare);
  void (*run)(void* state, SparsesepThreadPool* pool, const void* input,
              void* output);
  void (*free)(void* state);
} SparsesepCpuTable;

extern const SparsesepCpuTable sparsesep_cpu_sparse_fully_connected;
extern const SparsesepCpuTable sparsesep_cpu_separable_conv_2d;
extern const SparsesepCpuTable sparsesep_cpu_fully_connected;
extern const SparsesepCpuTable sparsesep_cpu_softmax;

#endif  // SPARSESEP_DELEGATE_CPU_OPERATION_H_
