#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "opencl/cache_file.h"
#include "opencl/device.h"
#include "opencl/sources.h"

// Returns the source between common.cl and `source`.
static const char* shared_by(const char* source) {
  if (source == sparsesep_cl_fully_connected ||
      source == sparsesep_cl_sparse_fully_connected) {
    return sparsesep_cl_rows;
  }
  return source == sparsesep_cl_conv_2d ||
                 source == sparsesep_cl_depthwise_conv_2d
             ? sparsesep_cl_window
             : "";
}

uint64_t sparsesep_source_key(const SparsesepOpenclDevice* device,
                              const char* source) {
  uint64_t key = sparsesep_hash(SPARSESEP_HASH_START, device->name);
  key = sparsesep_hash(key, device->version);
  key = sparsesep_hash(key, sparsesep_cl_common);
  key = sparsesep_hash(key, shared_by(source));
  return sparsesep_hash(key, source);
}

// Reads the first line of the compiler's log.
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
  const char* sources[] = {sparsesep_cl_common, shared_by(source), source};
  cl_int status = CL_SUCCESS;
  cl_program program = device->api->clCreateProgramWithSource(
      device->context, 3, sources, NULL, &status);
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

// Requires the device's lock.
static SparsesepBuiltProgram* find_or_build(SparsesepOpenclDevice* device,
                                            const char* source,
                                            const char* all_options,
                                            char* reason, size_t reason_bytes) {
  for (SparsesepBuiltProgram* p = device->programs; p != NULL; p = p->next) {
    if (p->source == source && strcmp(p->options, all_options) == 0) {
      return p;
    }
  }
  const uint64_t key =
      sparsesep_hash(sparsesep_source_key(device, source), all_options);
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
  memcpy(built->options, all_options, strlen(all_options) + 1);
  built->program = program;
  built->key = key;
  built->passing = true;
  built->next = device->programs;
  device->programs = built;
  return built;
}

cl_program sparsesep_get_program(SparsesepOpenclDevice* device,
                                 const char* source, const char* options,
                                 bool passing, char* reason,
                                 size_t reason_bytes) {
  char all_options[SPARSESEP_BUILD_OPTIONS_LENGTH];
  snprintf(all_options, sizeof(all_options), "-cl-std=CL1.2 -DHALF=%d%s",
           device->half ? 1 : 0, options);
  pthread_mutex_lock(&device->lock);
  SparsesepBuiltProgram* built =
      find_or_build(device, source, all_options, reason, reason_bytes);
  cl_program program = NULL;
  if (built != NULL) {
    program = built->program;
    built->passing = built->passing && passing;
  }
  pthread_mutex_unlock(&device->lock);
  return program;
}

void sparsesep_store_programs(SparsesepOpenclDevice* device) {
  pthread_mutex_lock(&device->lock);
  for (SparsesepBuiltProgram* p = device->programs; p != NULL; p = p->next) {
    if (p->in_cache || p->passing) continue;
    sparsesep_store_program(device, p->program, p->key);
    p->in_cache = true;
  }
  pthread_mutex_unlock(&device->lock);
}
