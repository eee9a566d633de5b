#define _GNU_SOURCE  // strcasestr
#include "opencl/launch.h"

#include <stddef.h>
#include <string.h>

typedef struct DeviceClass {
  const char* name;  // part of a device's name
  cl_ulong type;
  SparsesepLaunch int8;
  SparsesepLaunch floats;
} DeviceClass;

// The first match counts; the last matches every device. A lane of an int8
// layer loads 16 bytes of weights at once, so four lanes read a line of 64
// bytes; waves are 16 wide on Mali and 64 on Adreno. On CPUs local memory is
// ordinary memory, so lanes do not pay, and small groups keep all cores
// busy. The CPU's row was measured (benchmarks/opencl_delegate), the GPUs'
// were not: use tune=1.
static const DeviceClass classes[] = {
    {"", CL_DEVICE_TYPE_CPU, {1, 16, 1}, {1, 16, 4}},
    {"mali", CL_DEVICE_TYPE_ALL, {4, 64, 2}, {4, 64, 2}},
    {"adreno", CL_DEVICE_TYPE_ALL, {4, 128, 2}, {8, 128, 2}},
    {"", CL_DEVICE_TYPE_ALL, {4, 64, 2}, {8, 64, 2}},
};

SparsesepLaunch sparsesep_class_launch(const char* device_name, cl_ulong type,
                                       bool is_float) {
  const size_t last = sizeof(classes) / sizeof(classes[0]) - 1;
  size_t i = 0;
  while (i < last && ((classes[i].type & type) == 0 ||
                      strcasestr(device_name, classes[i].name) == NULL)) {
    ++i;
  }
  return is_float ? classes[i].floats : classes[i].int8;
}

SparsesepLaunch sparsesep_override_launch(SparsesepLaunch launch,
                                          const SparsesepLaunch* chosen) {
  if (chosen->lanes != 0) launch.lanes = chosen->lanes;
  if (chosen->group_size != 0) launch.group_size = chosen->group_size;
  if (chosen->vectors != 0) launch.vectors = chosen->vectors;
  if (launch.group_size >= launch.lanes) return launch;
  if (chosen->group_size == 0) {
    launch.group_size = launch.lanes;
  } else {
    launch.lanes = launch.group_size;
  }
  return launch;
}

static void keep_to(int32_t* number, int32_t most) {
  while (*number > 1 && *number > most) *number /= 2;
}

SparsesepLaunch sparsesep_fit_launch(SparsesepLaunch launch,
                                     const SparsesepLaunchLimits* limits,
                                     int32_t tile_rows) {
  keep_to(&launch.lanes, limits->lanes);
  keep_to(&launch.group_size, limits->group_size);
  keep_to(&launch.lanes, launch.group_size);
  keep_to(&launch.vectors, limits->vectors);
  // A single lane keeps its sums in registers.
  while (launch.lanes > 1 &&
         (int64_t)launch.group_size * launch.vectors * tile_rows >
             limits->sums) {
    if (launch.group_size > launch.lanes) {
      launch.group_size /= 2;
    } else if (launch.vectors > 1) {
      launch.vectors /= 2;
    } else {
      launch.lanes /= 2;
    }
  }
  return launch;
}
