// Kernels of fully-connected layers (kernels/opencl/rows.cl), whose launch
// is chosen by device class, options or measurement.
#ifndef SPARSESEP_DELEGATE_OPENCL_ROW_KERNEL_H_
#define SPARSESEP_DELEGATE_OPENCL_ROW_KERNEL_H_

#include "opencl/operation.h"

#define SPARSESEP_ROW_KERNEL_ARGUMENTS 18

typedef struct SparsesepKernelArgument {
  size_t bytes;
  union {
    cl_mem buffer;
    int32_t number;
    float real;
  } value;
} SparsesepKernelArgument;

// A kernel with its arguments, which fit any launch.
typedef struct SparsesepRowKernel {
  const char* source;
  const char* name;
  bool is_float;
  int32_t tile_rows;  // of a row group
  int32_t tile_cols;
  int64_t groups;  // row groups
  int64_t batch;
  int64_t step;   // elements from one vector to the next
  int64_t pitch;  // from a line of vectors to the next, where there are several
  int64_t cols;
  int64_t weights;  // stored
  int32_t argument_count;
  SparsesepKernelArgument arguments[SPARSESEP_ROW_KERNEL_ARGUMENTS];
} SparsesepRowKernel;

void sparsesep_add_row_buffer(SparsesepRowKernel* kernel, cl_mem buffer);
void sparsesep_add_row_ints(SparsesepRowKernel* kernel, int32_t count,
                            const int32_t* values);
void sparsesep_add_row_float(SparsesepRowKernel* kernel, float value);

// Adds the kernel as the next step, with the launch that suits the device.
void sparsesep_add_row_step(const SparsesepOpenclNode* node,
                            const SparsesepRowKernel* kernel);

// Adds the kernel as the next step with a launch, or the nearest one that
// device and kernel allow, and returns the launch.
SparsesepLaunch sparsesep_add_row_launch(SparsesepOpenclRunner* runner,
                                         const SparsesepRowKernel* kernel,
                                         SparsesepLaunch launch);

// Returns the limits of a launch of the kernel on the device.
SparsesepLaunchLimits sparsesep_launch_limits(
    const SparsesepOpenclDevice* device, const SparsesepRowKernel* kernel);

// Adds the kernel with `launch`, times other launches against it, and keeps
// and returns the fastest, with its seconds (0: nothing to compare). Fields
// that options chose stay. Overwrites the layer's buffers.
SparsesepLaunch sparsesep_tune_launch(SparsesepOpenclRunner* runner,
                                      const SparsesepRowKernel* kernel,
                                      SparsesepLaunch launch,
                                      double* best_seconds);

#endif  // SPARSESEP_DELEGATE_OPENCL_ROW_KERNEL_H_
