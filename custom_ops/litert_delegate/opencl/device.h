// One OpenCL device with its context, queue and compiled programs.
#ifndef SPARSESEP_DELEGATE_OPENCL_DEVICE_H_
#define SPARSESEP_DELEGATE_OPENCL_DEVICE_H_

#include <pthread.h>

#include "delegate_options.h"
#include "opencl/api.h"
#include "opencl/launch.h"

#define SPARSESEP_BUILD_OPTIONS_LENGTH 256

// A compiled program and the inputs of its build.
typedef struct SparsesepBuiltProgram {
  const char* source;
  char options[SPARSESEP_BUILD_OPTIONS_LENGTH];
  cl_program program;
  uint64_t key;
  bool in_cache;
  bool passing;  // built for tuning: not cached
  struct SparsesepBuiltProgram* next;
} SparsesepBuiltProgram;

typedef struct SparsesepOpenclDevice {
  const SparsesepOpenclApi* api;
  cl_device_id id;
  cl_context context;
  cl_command_queue queue;
  char name[256];
  char version[256];  // of device and driver: programs are cached per version
  cl_ulong local_bytes;
  cl_ulong type;
  int32_t most_items;      // of a work-group
  int32_t group_size;      // of kernels whose work-items are independent
  SparsesepLaunch chosen;  // by options; 0: not chosen
  bool half;               // floats are stored in 16 bits
  bool tune;
  bool verbose;
  char cache_dir[SPARSESEP_OPTION_LENGTH];
  pthread_mutex_t lock;  // of programs: interpreters may share a delegate
  SparsesepBuiltProgram* programs;
} SparsesepOpenclDevice;

// False if no device matches; `reason` then holds one line.
// sparsesep_close_opencl() must be called in either case.
bool sparsesep_open_opencl(const SparsesepDelegateOptions* options,
                           SparsesepOpenclDevice* device, char* reason,
                           size_t reason_bytes);

void sparsesep_close_opencl(SparsesepOpenclDevice* device);

// Returns the program of a source in kernels/opencl with options such as "
// -DN=4": from memory, from cache_dir, or built. The device owns it.
// `passing` programs are cached only if requested without the flag as well.
// NULL if the build fails; `reason` then holds one line.
cl_program sparsesep_get_program(SparsesepOpenclDevice* device,
                                 const char* source, const char* options,
                                 bool passing, char* reason,
                                 size_t reason_bytes);

// Writes the programs that are missing in cache_dir. Call it after kernels
// have run: some drivers finish compiling only then.
void sparsesep_store_programs(SparsesepOpenclDevice* device);

// Returns a key of the device, its driver and the complete source.
uint64_t sparsesep_source_key(const SparsesepOpenclDevice* device,
                              const char* source);

// Load and store a program in cache_dir. `key` identifies device, source and
// options. A damaged or missing file is no error: NULL.
cl_program sparsesep_load_program(const SparsesepOpenclDevice* device,
                                  uint64_t key);
void sparsesep_store_program(const SparsesepOpenclDevice* device,
                             cl_program program, uint64_t key);

#endif  // SPARSESEP_DELEGATE_OPENCL_DEVICE_H_
