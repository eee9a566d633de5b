// A partition on an OpenCL device: buffers, and kernels in the order in which
// they are queued. Operators add their kernels when the partition is prepared;
// nothing but uploads, launches and downloads is left for an inference.
//
// Errors stick: after the first one, what is added is ignored, and `failed`
// says so. Callers need not check each step.
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
  bool tuning;      // steps added now may be dropped again
  bool stored;      // programs went to cache_dir after the first inference
  cl_mem* staging;  // per tensor: float32 at the boundary of a half partition
} SparsesepOpenclRunner;

// Notes a failed call; the first is kept.
void sparsesep_opencl_fail(SparsesepOpenclRunner* runner, const char* what,
                           cl_int status);

// Adds a kernel of a source. Its arguments follow in order.
void sparsesep_add_step(SparsesepOpenclRunner* runner, const char* source,
                        const char* options, const char* kernel);

// Takes the step added last away.
void sparsesep_drop_step(SparsesepOpenclRunner* runner);

// Arguments of the step added last.
void sparsesep_add_argument(SparsesepOpenclRunner* runner, size_t bytes,
                            const void* value);
void sparsesep_add_buffer_argument(SparsesepOpenclRunner* runner,
                                   cl_mem buffer);
void sparsesep_add_int_arguments(SparsesepOpenclRunner* runner, int32_t count,
                                 const int32_t* values);
void sparsesep_add_float_argument(SparsesepOpenclRunner* runner, float value);
void sparsesep_add_local_argument(SparsesepOpenclRunner* runner, size_t bytes);
// The limits of a float32 output with a fused activation, as two floats.
void sparsesep_add_float_limits(SparsesepOpenclRunner* runner,
                                TfLiteFusedActivation activation);

// Work-items of the step added last: at least x along x and y along y, which
// kernels check themselves, and z along z.
void sparsesep_set_items(SparsesepOpenclRunner* runner, int64_t x, int64_t y,
                         int64_t z);

// Exactly `groups` * y work-groups, of `items` work-items each or as many as
// the kernel allows.
void sparsesep_set_groups(SparsesepOpenclRunner* runner, int64_t groups,
                          int64_t y, int32_t items);

// Queues a step; a status of OpenCL.
cl_int sparsesep_queue_step(const SparsesepOpenclRunner* runner,
                            const SparsesepOpenclStep* step);

// Buffers that the runner frees. NULL after a failure. A constant without
// `data` is zeros.
cl_mem sparsesep_add_buffer(SparsesepOpenclRunner* runner, size_t bytes);
cl_mem sparsesep_add_constant(SparsesepOpenclRunner* runner, const void* data,
                              size_t bytes);
// Floats as the device stores them: 4 bytes each, or 2.
cl_mem sparsesep_add_floats(SparsesepOpenclRunner* runner, const float* data,
                            size_t count);

// Where an activation lives.
cl_mem sparsesep_buffer_of(const SparsesepOpenclRunner* runner,
                           const SparsesepPartitionTensor* tensor);

// Bytes of one element on the device.
size_t sparsesep_opencl_element_bytes(const SparsesepOpenclRunner* runner,
                                      TfLiteType type);

#endif  // SPARSESEP_DELEGATE_OPENCL_RUNNER_H_
