#include "opencl/runner.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "graph/quantization.h"
#include "opencl/half.h"

// Kernels may load whole vectors past the last element.
#define PADDING_BYTES 64

void sparsesep_opencl_fail(SparsesepOpenclRunner* runner, const char* what,
                           cl_int status) {
  if (runner->failed) return;
  runner->failed = true;
  snprintf(runner->reason, sizeof(runner->reason), "OpenCL: %s: error %d", what,
           status);
}

// Makes room for one more element of an array. False after a failure.
static bool grow(SparsesepOpenclRunner* runner, void** array, int32_t count,
                 int32_t* room, size_t element_bytes) {
  if (runner->failed) return false;
  if (count < *room) return true;
  const int32_t wanted = *room == 0 ? 16 : 2 * *room;
  void* larger = realloc(*array, (size_t)wanted * element_bytes);
  if (larger == NULL) {
    sparsesep_opencl_fail(runner, "out of memory", 0);
    return false;
  }
  *array = larger;
  *room = wanted;
  return true;
}

void sparsesep_add_step(SparsesepOpenclRunner* runner, const char* source,
                        const char* options, const char* kernel) {
  void* steps = runner->steps;
  const bool has_room = grow(runner, &steps, runner->step_count,
                             &runner->step_room, sizeof(SparsesepOpenclStep));
  runner->steps = steps;
  if (!has_room) return;
  const SparsesepOpenclDevice* device = runner->device;
  cl_program program =
      sparsesep_get_program(runner->device, source, options, runner->tuning,
                            runner->reason, sizeof(runner->reason));
  if (program == NULL) {
    runner->failed = true;  // the reason is set
    return;
  }
  cl_int status = CL_SUCCESS;
  SparsesepOpenclStep step;
  memset(&step, 0, sizeof(step));
  step.kernel = device->api->clCreateKernel(program, kernel, &status);
  if (step.kernel == NULL || status != CL_SUCCESS) {
    sparsesep_opencl_fail(runner, kernel, status);
    return;
  }
  runner->steps[runner->step_count++] = step;
  size_t most = 1;
  status = device->api->clGetKernelWorkGroupInfo(step.kernel, device->id,
                                                 CL_KERNEL_WORK_GROUP_SIZE,
                                                 sizeof(most), &most, NULL);
  if (status != CL_SUCCESS) {
    sparsesep_opencl_fail(runner, "clGetKernelWorkGroupInfo", status);
  }
  runner->steps[runner->step_count - 1].most_items =
      most > (size_t)device->most_items ? device->most_items : (int32_t)most;
}

void sparsesep_drop_step(SparsesepOpenclRunner* runner) {
  runner->device->api->clReleaseKernel(
      runner->steps[--runner->step_count].kernel);
}

void sparsesep_add_argument(SparsesepOpenclRunner* runner, size_t bytes,
                            const void* value) {
  if (runner->failed) return;
  SparsesepOpenclStep* step = &runner->steps[runner->step_count - 1];
  const cl_int status = runner->device->api->clSetKernelArg(
      step->kernel, step->arguments++, bytes, value);
  if (status != CL_SUCCESS) {
    sparsesep_opencl_fail(runner, "clSetKernelArg", status);
  }
}

void sparsesep_add_buffer_argument(SparsesepOpenclRunner* runner,
                                   cl_mem buffer) {
  sparsesep_add_argument(runner, sizeof(buffer), &buffer);
}

void sparsesep_add_int_arguments(SparsesepOpenclRunner* runner, int32_t count,
                                 const int32_t* values) {
  for (int32_t i = 0; i < count; ++i) {
    sparsesep_add_argument(runner, sizeof(values[i]), &values[i]);
  }
}

void sparsesep_add_float_argument(SparsesepOpenclRunner* runner, float value) {
  sparsesep_add_argument(runner, sizeof(value), &value);
}

void sparsesep_add_float_limits(SparsesepOpenclRunner* runner,
                                TfLiteFusedActivation activation) {
  const SparsesepFloatLimits limits = sparsesep_float_limits(activation);
  sparsesep_add_float_argument(runner, limits.min);
  sparsesep_add_float_argument(runner, limits.max);
}

void sparsesep_add_local_argument(SparsesepOpenclRunner* runner, size_t bytes) {
  sparsesep_add_argument(runner, bytes, NULL);
}

static SparsesepOpenclStep* last_step(const SparsesepOpenclRunner* runner) {
  return runner->failed ? NULL : &runner->steps[runner->step_count - 1];
}

static void set_sizes(SparsesepOpenclStep* step, const int64_t items[3],
                      const int32_t group[3]) {
  for (int i = 0; i < 3; ++i) {
    step->local[i] = (size_t)group[i];
    step->global[i] = (size_t)((items[i] + group[i] - 1) / group[i] * group[i]);
  }
}

// Groups take as many items along x as there are, up to a power of two, and
// fill up along y: a convolution with 8 units leaves no work-item idle.
void sparsesep_set_items(SparsesepOpenclRunner* runner, int64_t x, int64_t y,
                         int64_t z) {
  SparsesepOpenclStep* step = last_step(runner);
  if (step == NULL) return;
  int32_t room = runner->device->group_size;
  while (room > step->most_items) room /= 2;
  int32_t group[3] = {1, 1, 1};
  while (group[0] < room && group[0] < x) group[0] *= 2;
  while (group[0] * group[1] < room && group[1] < y) group[1] *= 2;
  set_sizes(step, (const int64_t[3]){x, y, z}, group);
}

void sparsesep_set_groups(SparsesepOpenclRunner* runner, int64_t groups,
                          int64_t y, int32_t items) {
  SparsesepOpenclStep* step = last_step(runner);
  if (step == NULL) return;
  while (items > step->most_items) items /= 2;
  set_sizes(step, (const int64_t[3]){groups * items, y, 1},
            (const int32_t[3]){items, 1, 1});
}

cl_int sparsesep_queue_step(const SparsesepOpenclRunner* runner,
                            const SparsesepOpenclStep* step) {
  return runner->device->api->clEnqueueNDRangeKernel(
      runner->device->queue, step->kernel, 3, NULL, step->global, step->local,
      0, NULL, NULL);
}

static cl_mem create_buffer(SparsesepOpenclRunner* runner, cl_ulong flags,
                            size_t bytes, void* data) {
  void* buffers = runner->buffers;
  const bool has_room = grow(runner, &buffers, runner->buffer_count,
                             &runner->buffer_room, sizeof(cl_mem));
  runner->buffers = buffers;
  if (!has_room) return NULL;
  cl_int status = CL_SUCCESS;
  cl_mem buffer = runner->device->api->clCreateBuffer(
      runner->device->context, flags, bytes, data, &status);
  if (buffer == NULL || status != CL_SUCCESS) {
    sparsesep_opencl_fail(runner, "clCreateBuffer", status);
    return NULL;
  }
  runner->buffers[runner->buffer_count++] = buffer;
  return buffer;
}

cl_mem sparsesep_add_buffer(SparsesepOpenclRunner* runner, size_t bytes) {
  return create_buffer(runner, CL_MEM_READ_WRITE, bytes + PADDING_BYTES, NULL);
}

cl_mem sparsesep_add_constant(SparsesepOpenclRunner* runner, const void* data,
                              size_t bytes) {
  if (runner->failed) return NULL;
  uint8_t* padded = calloc(1, bytes + PADDING_BYTES);
  if (padded == NULL) {
    sparsesep_opencl_fail(runner, "out of memory", 0);
    return NULL;
  }
  if (data != NULL && bytes > 0) memcpy(padded, data, bytes);
  cl_mem buffer = create_buffer(runner, CL_MEM_READ_ONLY | CL_MEM_COPY_HOST_PTR,
                                bytes + PADDING_BYTES, padded);
  free(padded);
  return buffer;
}

cl_mem sparsesep_add_floats(SparsesepOpenclRunner* runner, const float* data,
                            size_t count) {
  if (!runner->device->half) {
    return sparsesep_add_constant(runner, data, 4 * count);
  }
  if (runner->failed) return NULL;
  uint16_t* halves = malloc(2 * count + 2);
  if (halves == NULL) {
    sparsesep_opencl_fail(runner, "out of memory", 0);
    return NULL;
  }
  for (size_t i = 0; i < count; ++i) halves[i] = sparsesep_to_half(data[i]);
  cl_mem buffer = sparsesep_add_constant(runner, halves, 2 * count);
  free(halves);
  return buffer;
}

cl_mem sparsesep_buffer_of(const SparsesepOpenclRunner* runner,
                           const SparsesepPartitionTensor* tensor) {
  return runner->slots[runner->partition->tensors[tensor->root].slot];
}

size_t sparsesep_opencl_element_bytes(const SparsesepOpenclRunner* runner,
                                      TfLiteType type) {
  const size_t bytes = sparsesep_type_bytes(type);
  return bytes == 4 && runner->device->half ? 2 : bytes;
}
