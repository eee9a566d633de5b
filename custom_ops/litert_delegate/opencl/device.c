#define _GNU_SOURCE  // strcasestr
#include "opencl/device.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define MAX_PLATFORMS 16
#define MAX_DEVICES 64

// Lists all devices of the machine.
static cl_uint list_devices(const SparsesepOpenclApi* api,
                            cl_device_id* devices) {
  cl_platform_id platforms[MAX_PLATFORMS];
  cl_uint platform_count = 0;
  cl_uint total = 0;
  if (api->clGetPlatformIDs(MAX_PLATFORMS, platforms, &platform_count) !=
      CL_SUCCESS) {
    return 0;
  }
  for (cl_uint i = 0; i < platform_count && i < MAX_PLATFORMS; ++i) {
    cl_uint count = 0;
    if (api->clGetDeviceIDs(platforms[i], CL_DEVICE_TYPE_ALL,
                            MAX_DEVICES - total, devices + total,
                            &count) != CL_SUCCESS) {
      continue;
    }
    total += count < MAX_DEVICES - total ? count : MAX_DEVICES - total;
    if (total == MAX_DEVICES) break;
  }
  return total;
}

static void get_text(const SparsesepOpenclApi* api, cl_device_id id,
                     cl_uint what, char* text, size_t bytes) {
  if (api->clGetDeviceInfo(id, what, bytes - 1, text, NULL) != CL_SUCCESS) {
    text[0] = '\0';
  }
  text[bytes - 1] = '\0';
}

static cl_ulong get_type(const SparsesepOpenclApi* api, cl_device_id id) {
  cl_ulong type = 0;
  return api->clGetDeviceInfo(id, CL_DEVICE_TYPE, sizeof(type), &type, NULL) ==
                 CL_SUCCESS
             ? type
             : 0;
}

static bool is_wanted(const SparsesepOpenclApi* api, cl_device_id id,
                      const char* wanted) {
  char name[256] = "";
  const cl_ulong type = get_type(api, id);
  if (strcasecmp(wanted, "gpu") == 0) return (type & CL_DEVICE_TYPE_GPU) != 0;
  if (strcasecmp(wanted, "cpu") == 0) return (type & CL_DEVICE_TYPE_CPU) != 0;
  get_text(api, id, CL_DEVICE_NAME, name, sizeof(name));
  return strcasestr(name, wanted) != NULL;
}

// Returns the first device that matches, GPUs first.
static cl_device_id choose(const SparsesepOpenclApi* api, const char* wanted) {
  cl_device_id devices[MAX_DEVICES];
  const cl_uint count = list_devices(api, devices);
  cl_device_id chosen = NULL;
  for (cl_uint i = 0; i < count; ++i) {
    if (!is_wanted(api, devices[i], wanted)) continue;
    if (get_type(api, devices[i]) & CL_DEVICE_TYPE_GPU) return devices[i];
    if (chosen == NULL) chosen = devices[i];
  }
  return chosen;
}

static void read_limits(SparsesepOpenclDevice* device) {
  const SparsesepOpenclApi* api = device->api;
  size_t most = 1;
  device->type = get_type(api, device->id);
  if (api->clGetDeviceInfo(device->id, CL_DEVICE_MAX_WORK_GROUP_SIZE,
                           sizeof(most), &most, NULL) != CL_SUCCESS) {
    most = 1;
  }
  device->most_items = most > SPARSESEP_MAX_GROUP_SIZE
                           ? SPARSESEP_MAX_GROUP_SIZE
                           : (int32_t)most;
  device->group_size = 64;
  while (device->group_size > device->most_items) device->group_size /= 2;
  if (api->clGetDeviceInfo(device->id, CL_DEVICE_LOCAL_MEM_SIZE,
                           sizeof(device->local_bytes), &device->local_bytes,
                           NULL) != CL_SUCCESS) {
    device->local_bytes = 0;
  }
}

static bool open_context(SparsesepOpenclDevice* device) {
  cl_int status = CL_SUCCESS;
  device->context =
      device->api->clCreateContext(NULL, 1, &device->id, NULL, NULL, &status);
  if (status != CL_SUCCESS) device->context = NULL;
  if (device->context == NULL) return false;
  device->queue = device->api->clCreateCommandQueue(device->context, device->id,
                                                    0, &status);
  if (status != CL_SUCCESS) device->queue = NULL;
  return device->queue != NULL;
}

bool sparsesep_open_opencl(const SparsesepDelegateOptions* options,
                           SparsesepOpenclDevice* device, char* reason,
                           size_t reason_bytes) {
  memset(device, 0, sizeof(*device));
  pthread_mutex_init(&device->lock, NULL);
  device->api = sparsesep_opencl_api();
  if (device->api == NULL) {
    snprintf(reason, reason_bytes, "there is no OpenCL library");
    return false;
  }
  device->id = choose(device->api, options->device);
  if (device->id == NULL) {
    snprintf(reason, reason_bytes, "there is no OpenCL device%s%s",
             options->device[0] == '\0' ? "" : " like ", options->device);
    return false;
  }
  const SparsesepOpenclApi* api = device->api;
  get_text(api, device->id, CL_DEVICE_NAME, device->name, sizeof(device->name));
  get_text(api, device->id, CL_DEVICE_VERSION, device->version, 128);
  const size_t length = strlen(device->version);
  get_text(api, device->id, CL_DRIVER_VERSION, device->version + length, 128);
  read_limits(device);
  device->chosen = options->launch;
  device->half = options->half;
  device->tune = options->tune;
  device->verbose = options->verbose;
  memcpy(device->cache_dir, options->cache_dir, sizeof(device->cache_dir));
  if (!open_context(device)) {
    snprintf(reason, reason_bytes, "OpenCL device %s cannot be opened",
             device->name);
    return false;
  }
  return true;
}

void sparsesep_close_opencl(SparsesepOpenclDevice* device) {
  while (device->programs != NULL) {
    SparsesepBuiltProgram* built = device->programs;
    device->programs = built->next;
    device->api->clReleaseProgram(built->program);
    free(built);
  }
  if (device->queue != NULL) device->api->clReleaseCommandQueue(device->queue);
  if (device->context != NULL) device->api->clReleaseContext(device->context);
  pthread_mutex_destroy(&device->lock);
}
