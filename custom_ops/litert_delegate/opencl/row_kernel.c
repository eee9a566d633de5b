#include "opencl/row_kernel.h"

#include <stdio.h>

static SparsesepKernelArgument* next_argument(SparsesepRowKernel* kernel,
                                              size_t bytes) {
  SparsesepKernelArgument* argument =
      &kernel->arguments[kernel->argument_count++];
  argument->bytes = bytes;
  return argument;
}

void sparsesep_add_row_buffer(SparsesepRowKernel* kernel, cl_mem buffer) {
  next_argument(kernel, sizeof(buffer))->value.buffer = buffer;
}

void sparsesep_add_row_ints(SparsesepRowKernel* kernel, int32_t count,
                            const int32_t* values) {
  for (int32_t i = 0; i < count; ++i) {
    next_argument(kernel, sizeof(values[i]))->value.number = values[i];
  }
}

void sparsesep_add_row_float(SparsesepRowKernel* kernel, float value) {
  next_argument(kernel, sizeof(value))->value.real = value;
}

SparsesepLaunchLimits sparsesep_launch_limits(
    const SparsesepOpenclDevice* device, const SparsesepRowKernel* kernel) {
  int32_t vectors = 1;
  while (vectors < kernel->batch && vectors < SPARSESEP_MAX_VECTORS) {
    vectors *= 2;
  }
  // Two groups share the local memory: one computes while the other waits.
  return (SparsesepLaunchLimits){
      kernel->is_float ? SPARSESEP_MAX_FLOAT_LANES : SPARSESEP_MAX_LANES,
      device->most_items, vectors,
      (int64_t)(device->local_bytes / 2 / sizeof(int32_t))};
}

// Checks that tiles of every vector are aligned to their columns: buffers
// are, and so are tiles within a vector.
static bool is_aligned(const SparsesepRowKernel* kernel) {
  return kernel->batch == 1 || (kernel->step % kernel->tile_cols == 0 &&
                                kernel->pitch % kernel->tile_cols == 0);
}

static void add_launch(SparsesepOpenclRunner* runner,
                       const SparsesepRowKernel* kernel,
                       const SparsesepLaunch* launch) {
  char options[128];
  snprintf(options, sizeof(options),
           " -DR=%d -DC=%d -DALIGNED=%d -DLANES=%d -DGROUP_SIZE=%d "
           "-DVECTORS=%d",
           kernel->tile_rows, kernel->tile_cols, is_aligned(kernel),
           launch->lanes, launch->group_size, launch->vectors);
  sparsesep_add_step(runner, kernel->source, options, kernel->name);
  for (int32_t i = 0; i < kernel->argument_count; ++i) {
    sparsesep_add_argument(runner, kernel->arguments[i].bytes,
                           &kernel->arguments[i].value);
  }
  const int64_t row_groups = launch->group_size / launch->lanes;
  sparsesep_set_groups(runner, (kernel->groups + row_groups - 1) / row_groups,
                       (kernel->batch + launch->vectors - 1) / launch->vectors,
                       launch->group_size);
}

// A kernel that takes many registers may allow smaller groups than the
// device.
SparsesepLaunch sparsesep_add_row_launch(SparsesepOpenclRunner* runner,
                                         const SparsesepRowKernel* kernel,
                                         SparsesepLaunch launch) {
  SparsesepLaunchLimits limits =
      sparsesep_launch_limits(runner->device, kernel);
  for (;;) {
    launch = sparsesep_fit_launch(launch, &limits, kernel->tile_rows);
    add_launch(runner, kernel, &launch);
    if (runner->failed) return launch;
    const int32_t most = runner->steps[runner->step_count - 1].most_items;
    if (launch.group_size <= most) return launch;
    sparsesep_drop_step(runner);
    limits.group_size = most;
  }
}
