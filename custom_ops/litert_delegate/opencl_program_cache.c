// Compiled programs in files, one each. A file is written under another name
// and then renamed, so that readers never see half of one. What is read back
// is the device's own; its driver checks it, and a checksum that it is whole.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "opencl_device.h"

#define MAX_PROGRAM_BYTES (64u << 20)

typedef struct FileHead {
  uint64_t key;
  uint64_t bytes;
  uint64_t checksum;
} FileHead;

static uint64_t checksum(const uint8_t* bytes, size_t count) {
  uint64_t state = 0xcbf29ce484222325u;
  for (size_t i = 0; i < count; ++i) {
    state = (state ^ bytes[i]) * 0x100000001b3u;
  }
  return state;
}

static bool file_name(const SparsesepOpenclDevice* device, uint64_t key,
                      const char* suffix, char* name, size_t name_bytes) {
  if (device->cache_dir[0] == '\0') return false;
  snprintf(name, name_bytes, "%s/sparsesep_%016llx.bin%s", device->cache_dir,
           (unsigned long long)key, suffix);
  return true;
}

// The program's bytes, from malloc, or NULL.
static uint8_t* read_file(FILE* file, uint64_t key, FileHead* head) {
  if (fread(head, sizeof(*head), 1, file) != 1 || head->key != key ||
      head->bytes == 0 || head->bytes > MAX_PROGRAM_BYTES) {
    return NULL;
  }
  uint8_t* bytes = malloc(head->bytes);
  if (bytes == NULL) return NULL;
  if (fread(bytes, 1, head->bytes, file) == head->bytes &&
      checksum(bytes, head->bytes) == head->checksum) {
    return bytes;
  }
  free(bytes);
  return NULL;
}

cl_program sparsesep_load_program(const SparsesepOpenclDevice* device,
                                  uint64_t key) {
  const SparsesepOpenclApi* api = device->api;
  char name[2 * SPARSESEP_OPTION_LENGTH];
  if (!file_name(device, key, "", name, sizeof(name))) return NULL;
  FILE* file = fopen(name, "rb");
  if (file == NULL) return NULL;
  FileHead head;
  uint8_t* bytes = read_file(file, key, &head);
  fclose(file);
  if (bytes == NULL) return NULL;
  const size_t size = head.bytes;
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

static void write_file(const SparsesepOpenclDevice* device, uint64_t key,
                       const uint8_t* bytes, size_t count) {
  char name[2 * SPARSESEP_OPTION_LENGTH];
  char temporary[2 * SPARSESEP_OPTION_LENGTH];
  char suffix[64];
  // Unique among the processes and delegates that may write the same program.
  snprintf(suffix, sizeof(suffix), ".%ld.%p", (long)getpid(),
           (const void*)device);
  if (!file_name(device, key, "", name, sizeof(name)) ||
      !file_name(device, key, suffix, temporary, sizeof(temporary))) {
    return;
  }
  const FileHead head = {key, count, checksum(bytes, count)};
  FILE* file = fopen(temporary, "wb");
  if (file == NULL) return;
  const bool written = fwrite(&head, sizeof(head), 1, file) == 1 &&
                       fwrite(bytes, 1, count, file) == count;
  if (fclose(file) != 0 || !written || rename(temporary, name) != 0) {
    remove(temporary);
  }
}

void sparsesep_store_program(const SparsesepOpenclDevice* device,
                             cl_program program, uint64_t key) {
  size_t size = 0;
  if (device->cache_dir[0] == '\0' ||
      device->api->clGetProgramInfo(program, CL_PROGRAM_BINARY_SIZES,
                                    sizeof(size), &size, NULL) != CL_SUCCESS ||
      size == 0 || size > MAX_PROGRAM_BYTES) {
    return;
  }
  unsigned char* bytes = malloc(size);
  if (bytes == NULL) return;
  if (device->api->clGetProgramInfo(program, CL_PROGRAM_BINARIES, sizeof(bytes),
                                    &bytes, NULL) == CL_SUCCESS) {
    write_file(device, key, bytes, size);
  }
  free(bytes);
}
