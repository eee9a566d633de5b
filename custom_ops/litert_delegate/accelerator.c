// The delegate as a plug-in of LiteRT 2, which loads an accelerator for GPUs
// from libLiteRtGpuAccelerator.so: a copy of this library under that name.
//
// LiteRT hands over no options of plug-ins that it does not know. They are in a
// file beside the copy, with .options behind its name, one option=value a line.
// Without the file, the backend is OpenCL.
#ifndef _GNU_SOURCE
#define _GNU_SOURCE  // dladdr
#endif
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#include "delegate.h"
#include "litert_abi.h"
#include "message.h"

#define MAX_OPTIONS 16
#define MAX_FILE_BYTES 4096
#define MAX_PATH_BYTES 4096

__attribute__((visibility(
    "default"))) extern const LiteRtAccelerator LiteRtAcceleratorImpl;

// Reads the file beside this library into `text`. False where there is none.
static bool read_file(char* text, size_t bytes) {
  Dl_info library;
  char path[MAX_PATH_BYTES];
  if (dladdr(&LiteRtAcceleratorImpl, &library) == 0 ||
      library.dli_fname == NULL) {
    return false;
  }
  const int length =
      snprintf(path, sizeof(path), "%s.options", library.dli_fname);
  if (length < 0 || (size_t)length >= sizeof(path)) return false;
  FILE* file = fopen(path, "rb");
  if (file == NULL) return false;
  const size_t read = fread(text, 1, bytes - 1, file);
  fclose(file);
  text[read] = '\0';
  return true;
}

// Cuts `text` into keys and values; returns how many there are.
static size_t split(char* text, const char** keys, const char** values) {
  size_t count = 0;
  char* rest = NULL;
  for (char* line = strtok_r(text, "\n", &rest);
       line != NULL && count < MAX_OPTIONS;
       line = strtok_r(NULL, "\n", &rest)) {
    char* equals = strchr(line, '=');
    if (equals == NULL) continue;
    *equals = '\0';
    keys[count] = line;
    values[count++] = equals + 1;
  }
  return count;
}

static bool read_options(SparsesepDelegateOptions* options) {
  char text[MAX_FILE_BYTES];
  char message[512];
  const char* keys[MAX_OPTIONS];
  const char* values[MAX_OPTIONS];
  if (!read_file(text, sizeof(text))) strcpy(text, "backend=opencl");
  const size_t count = split(text, keys, values);
  const bool accepted = sparsesep_read_delegate_options(
      keys, values, count, options, message, sizeof(message));
  if (!accepted) sparsesep_delegate_message("%s", message);
  return accepted;
}

static LiteRtStatus create_delegate(const LiteRtRuntime* runtime,
                                    void* environment, const void* accelerator,
                                    void* litert_options, void** wrapper) {
  (void)environment;
  (void)accelerator;
  (void)litert_options;
  SparsesepDelegateOptions options;
  if (runtime == NULL || runtime->abi.major_version != 1 ||
      runtime->abi.bytes < sizeof(*runtime)) {
    sparsesep_delegate_message("LiteRT's function table is not version 1");
    return LITERT_WRONG_VERSION;
  }
  if (!read_options(&options)) return LITERT_INVALID_ARGUMENT;
  TfLiteDelegate* delegate = sparsesep_create_delegate(&options);
  if (delegate == NULL) return LITERT_OUT_OF_MEMORY;
  const LiteRtStatus status =
      runtime->wrap_delegate(delegate, sparsesep_free_delegate, wrapper);
  if (status != LITERT_OK) sparsesep_free_delegate(delegate);
  return status;
}

static LiteRtStatus get_name(const void* accelerator, const char** name) {
  (void)accelerator;
  *name = "tflm-sparsesep";
  return LITERT_OK;
}

static LiteRtStatus get_version(const void* accelerator,
                                LiteRtVersion* version) {
  (void)accelerator;
  *version = (LiteRtVersion){1, 0, 0};
  return LITERT_OK;
}

static LiteRtStatus get_hardware(const void* accelerator, int32_t* supported) {
  (void)accelerator;
  *supported = LITERT_GPU;
  return LITERT_OK;
}

static LiteRtStatus compiles_just_in_time(const void* accelerator, bool* does) {
  (void)accelerator;
  *does = false;
  return LITERT_OK;
}

const LiteRtAccelerator LiteRtAcceleratorImpl = {
    .abi = {sizeof(LiteRtAccelerator), 1, 0, 0},
    .name = get_name,
    .version = get_version,
    .hardware = get_hardware,
    .compiles_just_in_time = compiles_just_in_time,
    .create_delegate = create_delegate,
    .buffers = {.abi = {sizeof(LiteRtBufferHandlers), 1, 0, 0}},
};
