// The launch of fully-connected kernels: LANES, GROUP_SIZE and VECTORS of
// rows.cl. It changes the time, never an output bit.
#ifndef SPARSESEP_DELEGATE_OPENCL_LAUNCH_H_
#define SPARSESEP_DELEGATE_OPENCL_LAUNCH_H_

#include <stdbool.h>
#include <stdint.h>

#include "delegate_options.h"
#include "opencl/api.h"

#define SPARSESEP_MAX_FLOAT_LANES 8

// Limits of the launch of one layer.
typedef struct SparsesepLaunchLimits {
  int32_t lanes;
  int32_t group_size;
  int32_t vectors;
  int64_t sums;  // work-items of a group * sums of each, in local memory
} SparsesepLaunchLimits;

// Returns the launch for a class of devices: Mali, Adreno, other GPUs, CPUs.
SparsesepLaunch sparsesep_class_launch(const char* device_name, cl_ulong type,
                                       bool is_float);

// Replaces the fields that `chosen` sets (0: unset). A group has room for
// its lanes.
SparsesepLaunch sparsesep_override_launch(SparsesepLaunch launch,
                                          const SparsesepLaunch* chosen);

// Returns the nearest launch within the limits.
SparsesepLaunch sparsesep_fit_launch(SparsesepLaunch launch,
                                     const SparsesepLaunchLimits* limits,
                                     int32_t tile_rows);

static inline bool sparsesep_same_launch(const SparsesepLaunch* a,
                                         const SparsesepLaunch* b) {
  return a->lanes == b->lanes && a->group_size == b->group_size &&
         a->vectors == b->vectors;
}

#endif  // SPARSESEP_DELEGATE_OPENCL_LAUNCH_H_
