// Runs partitions on an OpenCL device: one upload, kernels, one download.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend.h"
#include "message.h"
#include "opencl/operation.h"
#include "opencl/sources.h"

static const SparsesepAddOperation adders[] = {
#define ROW(kind, builtin, check, kernels) sparsesep_opencl_##kernels,
#include "graph/operators.inc"
#undef ROW
};

static bool claims(const void* backend, const TfLiteContext* context,
                   const SparsesepOperation* operation) {
  return operation->kind != SPARSESEP_SEPARABLE_CONV_2D ||
         sparsesep_opencl_fits_separable(
             backend, sparsesep_tensor_of(context, operation->inputs, 1));
}

static void free_runner(void* pointer) {
  SparsesepOpenclRunner* runner = pointer;
  const SparsesepOpenclApi* api = runner->device->api;
  for (int32_t i = 0; i < runner->step_count; ++i) {
    api->clReleaseKernel(runner->steps[i].kernel);
  }
  for (int32_t i = 0; i < runner->buffer_count; ++i) {
    api->clReleaseMemObject(runner->buffers[i]);
  }
  free(runner->steps);
  free(runner->buffers);
  free(runner->slots);
  free(runner->staging);
  free(runner);
}

static bool crosses_boundary(const SparsesepPartitionTensor* tensor) {
  return tensor->input || tensor->output;
}

// Converts between the runtime's float32 and half at the partition's
// boundary.
static void add_conversion(SparsesepOpenclRunner* runner, int32_t number,
                           bool load) {
  const SparsesepPartitionTensor* tensor = &runner->partition->tensors[number];
  const int32_t count = (int32_t)sparsesep_element_count(&tensor->shape);
  cl_mem own = sparsesep_buffer_of(runner, tensor);
  cl_mem staging = runner->staging[number];
  sparsesep_add_step(runner, sparsesep_cl_function, "",
                     load ? "load_floats" : "store_floats");
  sparsesep_add_buffer_argument(runner, load ? staging : own);
  sparsesep_add_buffer_argument(runner, load ? own : staging);
  sparsesep_add_int_arguments(runner, 1, &count);
  sparsesep_set_items(runner, count, 1, 1);
}

static void add_conversions(SparsesepOpenclRunner* runner, bool load) {
  for (int32_t i = 0; i < runner->partition->tensor_count; ++i) {
    const SparsesepPartitionTensor* tensor = &runner->partition->tensors[i];
    if (runner->staging[i] == NULL ||
        !(load ? tensor->input : tensor->output)) {
      continue;
    }
    add_conversion(runner, i, load);
  }
}

static void add_buffers(SparsesepOpenclRunner* runner) {
  const SparsesepPartition* partition = runner->partition;
  for (int32_t i = 0; i < partition->slot_count; ++i) {
    runner->slots[i] = sparsesep_add_buffer(runner, partition->slot_bytes[i]);
  }
  for (int32_t i = 0; i < partition->tensor_count; ++i) {
    const SparsesepPartitionTensor* tensor = &partition->tensors[i];
    if (runner->device->half && crosses_boundary(tensor) &&
        tensor->type == kTfLiteFloat32) {
      runner->staging[i] =
          sparsesep_add_buffer(runner, sparsesep_tensor_bytes(tensor));
    }
  }
}

static void add_operations(SparsesepOpenclRunner* runner,
                           TfLiteContext* context) {
  const SparsesepPartition* partition = runner->partition;
  for (int32_t i = 0; i < partition->operation_count && !runner->failed; ++i) {
    const SparsesepOperation* operation = &partition->operations[i];
    const SparsesepOpenclNode node = {
        runner, context, operation,
        sparsesep_partition_input(partition, operation, 0),
        sparsesep_partition_output(partition, operation)};
    adders[operation->kind](&node);
  }
}

// A constant first operand of ADD or MUL has no slot: its operator uploads
// it.
static void* prepare_runner(void* backend, TfLiteContext* context,
                            SparsesepPartition* partition) {
  if (!sparsesep_plan_partition(partition, context, false)) return NULL;
  SparsesepOpenclRunner* runner = calloc(1, sizeof(*runner));
  if (runner == NULL) return sparsesep_out_of_memory(context);
  runner->device = backend;
  runner->partition = partition;
  runner->slots = calloc((size_t)partition->slot_count + 1, sizeof(cl_mem));
  runner->staging = calloc((size_t)partition->tensor_count, sizeof(cl_mem));
  if (runner->slots == NULL || runner->staging == NULL) {
    sparsesep_opencl_fail(runner, "out of memory", 0);
  } else {
    add_buffers(runner);
    add_conversions(runner, true);
    add_operations(runner, context);
    add_conversions(runner, false);
  }
  if (!runner->failed) return runner;
  context->ReportError(context, "sparsesep delegate: %s", runner->reason);
  free_runner(runner);
  return NULL;
}

// Uploads inputs, or downloads outputs.
static void transfer(SparsesepOpenclRunner* runner, TfLiteContext* context,
                     bool upload) {
  const SparsesepOpenclDevice* device = runner->device;
  for (int32_t i = 0; i < runner->partition->tensor_count; ++i) {
    const SparsesepPartitionTensor* tensor = &runner->partition->tensors[i];
    if (!(upload ? tensor->input : tensor->output)) continue;
    cl_mem buffer = runner->staging[i] != NULL
                        ? runner->staging[i]
                        : sparsesep_buffer_of(runner, tensor);
    void* data = context->tensors[tensor->index].data;
    const size_t bytes = sparsesep_tensor_bytes(tensor);
    const cl_int status =
        upload
            ? device->api->clEnqueueWriteBuffer(device->queue, buffer, CL_FALSE,
                                                0, bytes, data, 0, NULL, NULL)
            : device->api->clEnqueueReadBuffer(device->queue, buffer, CL_FALSE,
                                               0, bytes, data, 0, NULL, NULL);
    if (status != CL_SUCCESS) {
      sparsesep_opencl_fail(
          runner, upload ? "clEnqueueWriteBuffer" : "clEnqueueReadBuffer",
          status);
    }
  }
}

static bool run(void* pointer, TfLiteContext* context) {
  SparsesepOpenclRunner* runner = pointer;
  SparsesepOpenclDevice* device = runner->device;
  runner->failed = false;
  transfer(runner, context, true);
  for (int32_t i = 0; i < runner->step_count && !runner->failed; ++i) {
    const cl_int status = sparsesep_queue_step(runner, &runner->steps[i]);
    if (status != CL_SUCCESS) {
      sparsesep_opencl_fail(runner, "clEnqueueNDRangeKernel", status);
    }
  }
  if (!runner->failed) transfer(runner, context, false);
  // Wait even after a failure: queued commands read the runtime's memory.
  const cl_int status = device->api->clFinish(device->queue);
  if (status != CL_SUCCESS) sparsesep_opencl_fail(runner, "clFinish", status);
  if (runner->failed) {
    context->ReportError(context, "sparsesep delegate: %s", runner->reason);
  } else if (!runner->stored) {
    sparsesep_store_programs(device);
    runner->stored = true;
  }
  return !runner->failed;
}

void* sparsesep_create_opencl_backend(const SparsesepDelegateOptions* options,
                                      char* reason, size_t reason_bytes) {
  SparsesepOpenclDevice* device = malloc(sizeof(*device));
  if (device == NULL) {
    snprintf(reason, reason_bytes, "out of memory");
    return NULL;
  }
  if (!sparsesep_open_opencl(options, device, reason, reason_bytes)) {
    sparsesep_close_opencl(device);
    free(device);
    return NULL;
  }
  if (options->verbose) {
    sparsesep_delegate_message("OpenCL device %s", device->name);
  }
  return device;
}

static void free_backend(void* pointer) {
  sparsesep_close_opencl(pointer);
  free(pointer);
}

const SparsesepBackendTable sparsesep_opencl_backend = {
    "OpenCL", claims, prepare_runner, run, free_runner, free_backend,
};
