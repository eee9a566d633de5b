// A partition on an OpenCL device: buffers, and kernels in execution order.
// Operators add their kernels during preparation; an inference only uploads,
// launches and downloads.
//
// Errors stick: after the first one, additions are ignored and `failed` is
// set, so callers need not check each step.
#ifndef SPARSESEP_DELEGATE_OPENCL_RUNNER_H_
#define SPARSESEP_DELEGATE_OPENCL_RUNNER_H_

#include "graph/partition.h"
#include "opencl/device.h"

typedef struct SparsesepOpenclStep {
  cl_kernel kernel;
  cl_uint arguments;
  int32_t most_items;  // of a work-group, for this kernel
  size_t global[3];
  size_t local[3];
} SparsesepOpenclStep;

typedef struct SparsesepOpenclRunner {
  SparsesepOpenclDevice* device;
  const SparsesepPartition* partition;
  cl_mem* slots;
  int32_t step_count;
  int32_t step_room;
  SparsesepOpenclStep* steps;
  int32_t buffer_count;  // besides slots: weights, tables, staging
  int32_t buffer_room;
  cl_mem* buffers;
  bool failed;
  char reason[256];
  bool tuning;      // steps may be dropped again
  bool stored;      // programs are in cache_dir
  cl_mem* staging;  // per tensor: float32 at the boundary of a half partition
} SparsesepOpenclRunner;

// Records a failed call; the first one counts.
void sparsesep_opencl_fail(SparsesepOpenclRunner* runner, const char* what,
                           cl_int status);

// Adds a kernel of a source. Its arguments follow in order.
void sparsesep_add_step(SparsesepOpenclRunner* runner, const char* source,
                        const char* options, const char* kernel);

// Removes the last step.
void sparsesep_drop_step(SparsesepOpenclRunner* runner);

// Add an argument to the last step.
void sparsesep_add_argument(SparsesepOpenclRunner* runner, size_t bytes,
                            const void* value);
void sparsesep_add_buffer_argument(SparsesepOpenclRunner* runner,
                                   cl_mem buffer);
void sparsesep_add_int_arguments(SparsesepOpenclRunner* runner, int32_t count,
                                 const int32_t* values);
void sparsesep_add_float_argument(SparsesepOpenclRunner* runner, float value);
void sparsesep_add_local_argument(SparsesepOpenclRunner* runner, size_t bytes);
// Adds the limits of a float32 output with a fused activation, two floats.
void sparsesep_add_float_limits(SparsesepOpenclRunner* runner,
                                TfLiteFusedActivation activation);

// Sets the work-items of the last step: at least x and y, which kernels
// check, and exactly z.
void sparsesep_set_items(SparsesepOpenclRunner* runner, int64_t x, int64_t y,
                         int64_t z);

// Sets `groups` * y work-groups of the last step, of `items` work-items
// each, or as many as the kernel allows.
void sparsesep_set_groups(SparsesepOpenclRunner* runner, int64_t groups,
                          int64_t y, int32_t items);

// Queues a step; returns OpenCL's status.
cl_int sparsesep_queue_step(const SparsesepOpenclRunner* runner,
                            const SparsesepOpenclStep* step);

// Create buffers that the runner owns. NULL after a failure. A constant
// without `data` is zero.
cl_mem sparsesep_add_buffer(SparsesepOpenclRunner* runner, size_t bytes);
cl_mem sparsesep_add_constant(SparsesepOpenclRunner* runner, const void* data,
                              size_t bytes);
// Stores floats in the device's format, 4 bytes each or 2.
cl_mem sparsesep_add_floats(SparsesepOpenclRunner* runner, const float* data,
                            size_t count);

// Returns the buffer of an activation.
cl_mem sparsesep_buffer_of(const SparsesepOpenclRunner* runner,
                           const SparsesepPartitionTensor* tensor);

// Returns the bytes of one element on the device.
size_t sparsesep_opencl_element_bytes(const SparsesepOpenclRunner* runner,
                                      TfLiteType type);

#endif  // SPARSESEP_DELEGATE_OPENCL_RUNNER_H_
