// What the delegate asks of a backend.
#ifndef SPARSESEP_DELEGATE_BACKEND_H_
#define SPARSESEP_DELEGATE_BACKEND_H_

#include "delegate_options.h"
#include "graph/partition.h"

typedef struct SparsesepBackendTable {
  const char* name;
  // Whether the backend runs an operator that is supported in general.
  bool (*claims)(const void* backend, const TfLiteContext* context,
                 const SparsesepOperation* operation);
  // Makes a partition ready for the present shapes. NULL where that fails,
  // reported to the runtime.
  void* (*prepare)(void* backend, TfLiteContext* context,
                   SparsesepPartition* partition);
  // One inference. False where it fails, reported to the runtime.
  bool (*run)(void* runner, TfLiteContext* context);
  void (*free_runner)(void* runner);
  void (*free_backend)(void* backend);
} SparsesepBackendTable;

extern const SparsesepBackendTable sparsesep_cpu_backend;
extern const SparsesepBackendTable sparsesep_opencl_backend;

// NULL without memory.
void* sparsesep_create_cpu_backend(const SparsesepDelegateOptions* options);

// NULL where no OpenCL device can be used; `reason` then says why in one line.
void* sparsesep_create_opencl_backend(const SparsesepDelegateOptions* options,
                                      char* reason, size_t reason_bytes);

#endif  // SPARSESEP_DELEGATE_BACKEND_H_
