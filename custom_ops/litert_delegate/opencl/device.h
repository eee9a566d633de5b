// One OpenCL device with its context, queue and compiled programs.
#ifndef SPARSESEP_DELEGATE_OPENCL_DEVICE_H_
#define SPARSESEP_DELEGATE_OPENCL_DEVICE_H_

#include <pthread.h>

#include "delegate_options.h"
#include "opencl/api.h"
#include "opencl/launch.h"

#define SPARSESEP_BUILD_OPTIONS_LENGTH 256

// A program that was built, by what it was built from.
typedef struct SparsesepBuiltProgram {
  const char* source;
  char options[SPARSESEP_BUILD_OPTIONS_LENGTH];
  cl_program program;
  uint64_t key;
  bool in_cache;
  bool passing;  // built for tuning: not worth a file
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

// False where there is no device as wanted; `reason` then says why. After
// either, sparsesep_close_opencl() is to be called.
bool sparsesep_open_opencl(const SparsesepDelegateOptions* options,
                           SparsesepOpenclDevice* device, char* reason,
                           size_t reason_bytes);

void sparsesep_close_opencl(SparsesepOpenclDevice* device);

// The program of a source in kernels/opencl with options such as " -DN=4",
// from memory, from cache_dir, or built. The device keeps it. `passing` ones do
// not go to cache_dir, unless they are asked for otherwise, too. NULL where it
// does not build; `reason` then says why.
cl_program sparsesep_get_program(SparsesepOpenclDevice* device,
                                 const char* source, const char* options,
                                 bool passing, char* reason,
                                 size_t reason_bytes);

// Writes the programs to cache_dir that are not there. Best called once kernels
// have run: some drivers finish compiling only then.
void sparsesep_store_programs(SparsesepOpenclDevice* device);

// Identifies the device with its driver, and all of a program's source.
uint64_t sparsesep_source_key(const SparsesepOpenclDevice* device,
                              const char* source);

// Programs in a folder between processes. `key` identifies device, source and
// options. A file that is damaged or missing is no error: NULL.
cl_program sparsesep_load_program(const SparsesepOpenclDevice* device,
                                  uint64_t key);
void sparsesep_store_program(const SparsesepOpenclDevice* device,
                             cl_program program, uint64_t key);

#endif  // SPARSESEP_DELEGATE_OPENCL_DEVICE_H_
