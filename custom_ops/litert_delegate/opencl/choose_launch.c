// Chooses the launch of a row kernel: cached, tuned now, or by device class.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "message.h"
#include "opencl/cache_file.h"
#include "opencl/row_kernel.h"

#define KIND "tune"

// Hashes everything that a tuned launch depends on.
static uint64_t tuning_key(const SparsesepOpenclDevice* device,
                           const SparsesepRowKernel* kernel) {
  char layer[256];
  snprintf(layer, sizeof(layer),
           SPARSESEP_VERSION " %s %d %d %lld %lld %lld %lld %lld %d %d %d %d",
           kernel->name, kernel->tile_rows, kernel->tile_cols,
           (long long)kernel->groups, (long long)kernel->batch,
           (long long)kernel->step, (long long)kernel->cols,
           (long long)kernel->weights, device->half, device->chosen.lanes,
           device->chosen.group_size, device->chosen.vectors);
  return sparsesep_hash(sparsesep_source_key(device, kernel->source), layer);
}

static bool is_power_of_two(int32_t number) {
  return number > 0 && (number & (number - 1)) == 0;
}

// Reads a cached launch. One that does not fit counts as missing.
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

// Fills the layer's input with zeros: subnormal floats in old memory could
// slow the measurement down.
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

// The kernel is the runner's last step.
static void report(const SparsesepOpenclRunner* runner,
                   const SparsesepRowKernel* kernel,
                   const SparsesepLaunch* launch, const char* how) {
  sparsesep_delegate_message(
      "%s of %lld vectors, %lld columns, %lld weights in tiles of %d x %d, "
      "room for %d work-items and %llu bytes: lanes=%d group_size=%d "
      "vectors=%d, %s",
      kernel->name, (long long)kernel->batch, (long long)kernel->cols,
      (long long)kernel->weights, kernel->tile_rows, kernel->tile_cols,
      runner->steps[runner->step_count - 1].most_items,
      (unsigned long long)runner->device->local_bytes, launch->lanes,
      launch->group_size, launch->vectors, how);
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
  if (device->verbose && !runner->failed) {
    report(runner, kernel, &launch, how);
  }
}
