#include "opencl_row_kernel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cache_file.h"
#include "message.h"

#define KIND "tune"

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
  // Two groups share the local memory, so that one computes while one waits.
  return (SparsesepLaunchLimits){
      kernel->is_float ? SPARSESEP_MAX_FLOAT_LANES : SPARSESEP_MAX_LANES,
      device->most_items, vectors,
      (int64_t)(device->local_bytes / 2 / sizeof(int32_t))};
}

// Whether tiles of every vector start at multiples of their columns: buffers
// do, and tiles do within a vector.
static bool is_aligned(const SparsesepRowKernel* kernel) {
  return kernel->batch == 1 || kernel->step % kernel->tile_cols == 0;
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

// Compilers may allow smaller groups than the device, for kernels that take
// many registers.
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

// Of everything that a tuned launch depends on.
static uint64_t tuning_key(const SparsesepOpenclDevice* device,
                           const SparsesepRowKernel* kernel) {
  char layer[256];
  snprintf(layer, sizeof(layer),
           SPARSESEP_VERSION " %s %d %d %lld %lld %lld %lld %d %d %d %d",
           kernel->name, kernel->tile_rows, kernel->tile_cols,
           (long long)kernel->groups, (long long)kernel->batch,
           (long long)kernel->cols, (long long)kernel->weights, device->half,
           device->chosen.lanes, device->chosen.group_size,
           device->chosen.vectors);
  return sparsesep_hash(sparsesep_source_key(device, kernel->source), layer);
}

static bool is_power_of_two(int32_t number) {
  return number > 0 && (number & (number - 1)) == 0;
}

// A launch that was found before. What does not fit is as good as missing.
static bool read_launch(const SparsesepOpenclDevice* device,
                        const SparsesepRowKernel* kernel, uint64_t key,
                        SparsesepLaunch* launch) {
  size_t bytes = 0;
  uint8_t* stored =
      sparsesep_read_cache_file(device->cache_dir, key, KIND, &bytes);
  bool fits = stored != NULL && bytes == sizeof(*launch);
  if (fits) {
    const SparsesepLaunchLimits limits =
        sparsesep_launch_limits(device, kernel);
    memcpy(launch, stored, sizeof(*launch));
    fits = is_power_of_two(launch->lanes) &&
           is_power_of_two(launch->group_size) &&
           is_power_of_two(launch->vectors);
    if (fits) {
      const SparsesepLaunch fitted =
          sparsesep_fit_launch(*launch, &limits, kernel->tile_rows);
      fits = sparsesep_same_launch(&fitted, launch);
    }
  }
  free(stored);
  return fits;
}

// Fills the layer's input with zeros: what it held before could be slow to
// compute with (floats too small to be normal), or be anything.
static void clear_input(const SparsesepOpenclNode* node) {
  const SparsesepOpenclRunner* runner = node->runner;
  const size_t bytes =
      (size_t)sparsesep_element_count(&node->input->shape) *
      sparsesep_opencl_element_bytes(runner, node->input->type);
  void* zeros = calloc(1, bytes);
  if (runner->failed || zeros == NULL) {
    free(zeros);
    return;
  }
  const cl_int status = runner->device->api->clEnqueueWriteBuffer(
      runner->device->queue, sparsesep_buffer_of(runner, node->input), CL_TRUE,
      0, bytes, zeros, 0, NULL, NULL);
  free(zeros);
  if (status != CL_SUCCESS) {
    sparsesep_opencl_fail(node->runner, "clEnqueueWriteBuffer", status);
  }
}

static void report(const SparsesepRowKernel* kernel,
                   const SparsesepLaunch* launch, const char* how) {
  sparsesep_delegate_message(
      "%s of %lld vectors, %lld columns, %lld weights in tiles of %d x %d: "
      "lanes=%d group_size=%d vectors=%d, %s",
      kernel->name, (long long)kernel->batch, (long long)kernel->cols,
      (long long)kernel->weights, kernel->tile_rows, kernel->tile_cols,
      launch->lanes, launch->group_size, launch->vectors, how);
}

void sparsesep_add_row_step(const SparsesepOpenclNode* node,
                            const SparsesepRowKernel* kernel) {
  SparsesepOpenclRunner* runner = node->runner;
  const SparsesepOpenclDevice* device = runner->device;
  const SparsesepLaunch usual = sparsesep_override_launch(
      sparsesep_class_launch(device->name, device->type, kernel->is_float),
      &device->chosen);
  const uint64_t key = tuning_key(device, kernel);
  SparsesepLaunch launch;
  char how[64] = "by class and options";
  if (read_launch(device, kernel, key, &launch)) {
    launch = sparsesep_add_row_launch(runner, kernel, launch);
    snprintf(how, sizeof(how), "from cache_dir");
  } else if (device->tune) {
    double seconds = 0.0;
    clear_input(node);
    launch = sparsesep_tune_launch(runner, kernel, usual, &seconds);
    if (runner->failed) return;
    sparsesep_write_cache_file(device->cache_dir, key, KIND, &launch,
                               sizeof(launch));
    snprintf(how, sizeof(how), "tuned to %.1f us", 1e6 * seconds);
  } else {
    launch = sparsesep_add_row_launch(runner, kernel, usual);
  }
  if (device->verbose) report(kernel, &launch, how);
}
