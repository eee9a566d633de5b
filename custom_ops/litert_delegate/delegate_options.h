// The options of the delegate.
#ifndef SPARSESEP_DELEGATE_OPTIONS_H_
#define SPARSESEP_DELEGATE_OPTIONS_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SPARSESEP_OPTION_LENGTH 256
#define SPARSESEP_MAX_THREADS 64
#define SPARSESEP_MAX_LANES 64
#define SPARSESEP_MAX_GROUP_SIZE 1024
#define SPARSESEP_MAX_VECTORS 8

// A launch of OpenCL's fully-connected kernels (opencl/launch.h); each a power
// of two.
typedef struct SparsesepLaunch {
  int32_t lanes;       // work-items that share a row group
  int32_t group_size;  // work-items of a work-group
  int32_t vectors;     // of the batch, that a work-item takes together
} SparsesepLaunch;

typedef struct SparsesepDelegateOptions {
  bool use_opencl;   // backend=cpu | opencl
  bool half;         // precision=fp32 | fp16, OpenCL's float models
  bool verbose;      // verbose=0 | 1
  int32_t threads;   // threads=1..64, CPU; default: cores, at most 4
  bool leave_dense;  // dense=tflm | litert, CPU: who runs dense layers
  bool tune;         // tune=0 | 1, OpenCL: times launches at load
  // lanes=, group_size=, vectors= of OpenCL's fully-connected layers; 0: by
  // the device's class.
  SparsesepLaunch launch;
  // device=: part of an OpenCL device's name, or gpu, cpu; empty: any.
  char device[SPARSESEP_OPTION_LENGTH];
  // cache_dir=: existing folder for compiled OpenCL programs and tuned
  // launches; empty: none.
  char cache_dir[SPARSESEP_OPTION_LENGTH];
} SparsesepDelegateOptions;

// Reads key-value pairs. False where one is not accepted; `message` then says
// in one line what was received and what is accepted.
bool sparsesep_read_delegate_options(const char* const* keys,
                                     const char* const* values, size_t count,
                                     SparsesepDelegateOptions* options,
                                     char* message, size_t message_bytes);

#endif  // SPARSESEP_DELEGATE_OPTIONS_H_
