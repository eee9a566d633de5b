#include "opencl/api.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

static SparsesepOpenclApi api;
static bool loaded;
static pthread_once_t once = PTHREAD_ONCE_INIT;

// Linux first, then the paths of Android devices.
static const char* const names[] = {
    "libOpenCL.so.1",
    "libOpenCL.so",
    "/vendor/lib64/libOpenCL.so",
    "/system/vendor/lib64/libOpenCL.so",
    "/vendor/lib64/egl/libGLES_mali.so",
    "libOpenCL-pixel.so",
    "libOpenCL-car.so",
};

static bool find_function(void* library, const char* name, void* pointer) {
  void* symbol = dlsym(library, name);
  // ISO C does not convert object pointers to function pointers.
  memcpy(pointer, &symbol, sizeof(symbol));
  return symbol != NULL;
}

static bool find_functions(void* library) {
#define FIND(result, name, parameters) \
  if (!find_function(library, #name, &api.name)) return false;
  SPARSESEP_OPENCL_FUNCTIONS(FIND)
#undef FIND
  return true;
}

// The library is never closed: drivers leave threads and exit handlers
// behind.
static void load(void) {
  for (size_t i = 0; i < sizeof(names) / sizeof(names[0]) && !loaded; ++i) {
    void* library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) continue;
    loaded = find_functions(library);
    if (!loaded) dlclose(library);
  }
}

const SparsesepOpenclApi* sparsesep_opencl_api(void) {
  pthread_once(&once, load);
  return loaded ? &api : NULL;
}
