// Compiled programs in cache_dir. They are in the driver's own format, which
// the driver checks.
#include <stdlib.h>

#include "opencl/cache_file.h"
#include "opencl/device.h"

#define KIND "bin"

cl_program sparsesep_load_program(const SparsesepOpenclDevice* device,
                                  uint64_t key) {
  const SparsesepOpenclApi* api = device->api;
  size_t size = 0;
  uint8_t* bytes =
      sparsesep_read_cache_file(device->cache_dir, key, KIND, &size);
  if (bytes == NULL) return NULL;
  const unsigned char* binary = bytes;
  cl_int binary_status = CL_SUCCESS;
  cl_int status = CL_SUCCESS;
  cl_program program = api->clCreateProgramWithBinary(
      device->context, 1, &device->id, &size, &binary, &binary_status, &status);
  free(bytes);
  if (program == NULL) return NULL;
  if (status == CL_SUCCESS && binary_status == CL_SUCCESS &&
      api->clBuildProgram(program, 1, &device->id, "", NULL, NULL) ==
          CL_SUCCESS) {
    return program;
  }
  api->clReleaseProgram(program);
  return NULL;
}

void sparsesep_store_program(const SparsesepOpenclDevice* device,
                             cl_program program, uint64_t key) {
  size_t size = 0;
  if (device->cache_dir[0] == '\0' ||
      device->api->clGetProgramInfo(program, CL_PROGRAM_BINARY_SIZES,
                                    sizeof(size), &size, NULL) != CL_SUCCESS ||
      size == 0) {
    return;
  }
  unsigned char* bytes = malloc(size);
  if (bytes == NULL) return;
  if (device->api->clGetProgramInfo(program, CL_PROGRAM_BINARIES, sizeof(bytes),
                                    &bytes, NULL) == CL_SUCCESS) {
    sparsesep_write_cache_file(device->cache_dir, key, KIND, bytes, size);
  }
  free(bytes);
}
