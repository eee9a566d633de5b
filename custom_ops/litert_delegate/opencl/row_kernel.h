// Kernels of fully-connected layers (kernels/opencl/rows.cl), whose launch is
// chosen: by the device's class, by options, or by timing.
#ifndef SPARSESEP_DELEGATE_OPENCL_ROW_KERNEL_H_
#define SPARSESEP_DELEGATE_OPENCL_ROW_KERNEL_H_

#include "opencl/operation.h"

#define SPARSESEP_ROW_KERNEL_ARGUMENTS 16

typedef struct SparsesepKernelArgument {
  size_t bytes;
  union {
    cl_mem buffer;
    int32_t number;
    float real;
  } value;
} SparsesepKernelArgument;

// A kernel with its arguments, which any launch of it takes.
typedef struct SparsesepRowKernel {
  const char* source;
  const char* name;
  bool is_float;
  int32_t tile_rows;  // of a row group
  int32_t tile_cols;
  int64_t groups;  // row groups
  int64_t batch;
  int64_t step;  // elements from one vector to the next
  int64_t cols;
  int64_t weights;  // that are stored
  int32_t argument_count;
  SparsesepKernelArgument arguments[SPARSESEP_ROW_KERNEL_ARGUMENTS];
} SparsesepRowKernel;

void sparsesep_add_row_buffer(SparsesepRowKernel* kernel, cl_mem buffer);
void sparsesep_add_row_ints(SparsesepRowKernel* kernel, int32_t count,
                            const int32_t* values);
void sparsesep_add_row_float(SparsesepRowKernel* kernel, float value);

// The kernel as the next step, with the launch that suits the device.
void sparsesep_add_row_step(const SparsesepOpenclNode* node,
                            const SparsesepRowKernel* kernel);

// The kernel as the next step with a launch, or the nearest one that device
// and kernel allow, which is returned.
SparsesepLaunch sparsesep_add_row_launch(SparsesepOpenclRunner* runner,
                                         const SparsesepRowKernel* kernel,
                                         SparsesepLaunch launch);

// What a launch of the kernel has to keep to on the device.
SparsesepLaunchLimits sparsesep_launch_limits(
    const SparsesepOpenclDevice* device, const SparsesepRowKernel* kernel);

// Adds the kernel with `launch`, then times others beside it and leaves the
// fastest, which is returned, with the seconds that it takes (0: it had no
// rival). What options chose stays. The device's buffers hold nothing yet that
// matters.
SparsesepLaunch sparsesep_tune_launch(SparsesepOpenclRunner* runner,
                                      const SparsesepRowKernel* kernel,
                                      SparsesepLaunch launch,
                                      double* best_seconds);

#endif  // SPARSESEP_DELEGATE_OPENCL_ROW_KERNEL_H_
