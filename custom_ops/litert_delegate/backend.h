// The interface that the delegate needs of a backend.
#ifndef SPARSESEP_DELEGATE_BACKEND_H_
#define SPARSESEP_DELEGATE_BACKEND_H_

#include "delegate_options.h"
#include "graph/partition.h"

typedef struct SparsesepBackendTable {
  const char* name;
  // Checks that the backend runs an operator that the delegate supports.
  bool (*claims)(const void* backend, const TfLiteContext* context,
                 const SparsesepOperation* operation);
  // Prepares a partition for the current shapes. NULL on failure, reported
  // to the runtime.
  void* (*prepare)(void* backend, TfLiteContext* context,
                   SparsesepPartition* partition);
  // Runs one inference. False on failure, reported to the runtime.
  bool (*run)(void* runner, TfLiteContext* context);
  void (*free_runner)(void* runner);
  void (*free_backend)(void* backend);
} SparsesepBackendTable;

extern const SparsesepBackendTable sparsesep_cpu_backend;
extern const SparsesepBackendTable sparsesep_opencl_backend;

// NULL if memory runs out.
void* sparsesep_create_cpu_backend(const SparsesepDelegateOptions* options);

// NULL if no OpenCL device can be used; `reason` then holds one line.
void* sparsesep_create_opencl_backend(const SparsesepDelegateOptions* options,
                                      char* reason, size_t reason_bytes);

#endif  // SPARSESEP_DELEGATE_BACKEND_H_
