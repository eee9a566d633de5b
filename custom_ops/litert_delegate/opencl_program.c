#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "opencl_device.h"
#include "opencl_sources.h"

static uint64_t hash(uint64_t state, const char* text) {
  // FNV-1a
  for (; *text != '\0'; ++text) {
    state = (state ^ (uint8_t)*text) * 0x100000001b3u;
  }
  return (state ^ 0xff) * 0x100000001b3u;
}

static uint64_t key_of(const SparsesepOpenclDevice* device, const char* source,
                       const char* options) {
  uint64_t key = hash(0xcbf29ce484222325u, device->name);
  key = hash(key, device->version);
  key = hash(key, sparsesep_cl_common);
  key = hash(key, source);
  return hash(key, options);
}

// Why the program did not build: the compiler's first line.
static void read_log(const SparsesepOpenclDevice* device, cl_program program,
                     cl_int status, char* reason, size_t reason_bytes) {
  char log[1024] = "";
  device->api->clGetProgramBuildInfo(program, device->id, CL_PROGRAM_BUILD_LOG,
                                     sizeof(log) - 1, log, NULL);
  log[strcspn(log, "\r\n")] = '\0';
  snprintf(reason, reason_bytes, "OpenCL program does not build: error %d %s",
           status, log);
}

static cl_program build(SparsesepOpenclDevice* device, const char* source,
                        const char* options, char* reason,
                        size_t reason_bytes) {
  const char* sources[] = {sparsesep_cl_common, source};
  cl_int status = CL_SUCCESS;
  cl_program program = device->api->clCreateProgramWithSource(
      device->context, 2, sources, NULL, &status);
  if (program == NULL || status != CL_SUCCESS) {
    snprintf(reason, reason_bytes, "OpenCL: no program: error %d", status);
    return NULL;
  }
  status =
      device->api->clBuildProgram(program, 1, &device->id, options, NULL, NULL);
  if (status == CL_SUCCESS) return program;
  read_log(device, program, status, reason, reason_bytes);
  device->api->clReleaseProgram(program);
  return NULL;
}

// The device's lock is held.
static cl_program find_or_build(SparsesepOpenclDevice* device,
                                const char* source, const char* all_options,
                                char* reason, size_t reason_bytes) {
  for (SparsesepBuiltProgram* p = device->programs; p != NULL; p = p->next) {
    if (p->source == source && strcmp(p->options, all_options) == 0) {
      return p->program;
    }
  }
  const uint64_t key = key_of(device, source, all_options);
  SparsesepBuiltProgram* built = calloc(1, sizeof(*built));
  if (built == NULL) {
    snprintf(reason, reason_bytes, "out of memory");
    return NULL;
  }
  cl_program program = sparsesep_load_program(device, key);
  built->in_cache = program != NULL;
  if (program == NULL) {
    program = build(device, source, all_options, reason, reason_bytes);
  }
  if (program == NULL) {
    free(built);
    return NULL;
  }
  built->source = source;
  strcpy(built->options, all_options);
  built->program = program;
  built->key = key;
  built->next = device->programs;
  device->programs = built;
  return program;
}

cl_program sparsesep_get_program(SparsesepOpenclDevice* device,
                                 const char* source, const char* options,
                                 char* reason, size_t reason_bytes) {
  char all_options[SPARSESEP_BUILD_OPTIONS_LENGTH];
  snprintf(all_options, sizeof(all_options),
           "-cl-std=CL1.2 -DLANES=%d -DGROUP_SIZE=%d -DHALF=%d%s",
           device->lanes, device->group_size, device->half ? 1 : 0, options);
  pthread_mutex_lock(&device->lock);
  cl_program program =
      find_or_build(device, source, all_options, reason, reason_bytes);
  pthread_mutex_unlock(&device->lock);
  return program;
}

void sparsesep_store_programs(SparsesepOpenclDevice* device) {
  pthread_mutex_lock(&device->lock);
  for (SparsesepBuiltProgram* p = device->programs; p != NULL; p = p->next) {
    if (!p->in_cache) sparsesep_store_program(device, p->program, p->key);
    p->in_cache = true;
  }
  pthread_mutex_unlock(&device->lock);
}
