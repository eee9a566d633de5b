// Operators on the CPU: how to prepare, run and free each kind.
#ifndef SPARSESEP_DELEGATE_CPU_OPERATION_H_
#define SPARSESEP_DELEGATE_CPU_OPERATION_H_

#include "cpu/thread_pool.h"
#include "graph/partition.h"
#include "message.h"

// The input of an operator's preparation.
typedef struct SparsesepCpuPrepare {
  TfLiteContext* context;
  const SparsesepPartition* partition;
  const SparsesepOperation* operation;
  const SparsesepShape* input;
  int32_t threads;
} SparsesepCpuPrepare;

// The tensors of one run.
typedef struct SparsesepCpuRun {
  const void* input;
  const void* residual;  // input 2; NULL without one
  void* output;
} SparsesepCpuRun;

typedef struct SparsesepCpuTable {
  // Returns the operator's state, or NULL after reporting an error.
  void* (*prepare)(const SparsesepCpuPrepare* prepare);
  void (*run)(void* state, SparsesepThreadPool* pool,
              const SparsesepCpuRun* run);
  void (*free)(void* state);
} SparsesepCpuTable;

extern const SparsesepCpuTable sparsesep_cpu_sparse_fully_connected;
extern const SparsesepCpuTable sparsesep_cpu_separable_conv_2d;
extern const SparsesepCpuTable sparsesep_cpu_sparse_conv_2d;
extern const SparsesepCpuTable sparsesep_cpu_fully_connected;
extern const SparsesepCpuTable sparsesep_cpu_softmax;

#endif  // SPARSESEP_DELEGATE_CPU_OPERATION_H_
