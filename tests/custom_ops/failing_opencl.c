// Wraps the OpenCL library: counts its objects, makes one call fail, and can
// change the device.
//
// Built as libOpenCL.so.1 and found first; FAILING_OPENCL_REAL is the real one.
// FAILING_OPENCL_GPU is a name for the device, which then claims to be a GPU.
// FAILING_OPENCL_ITEMS limits its work-groups, FAILING_OPENCL_BYTES its local
// memory.
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include "opencl/api.h"

// Number of the call that fails, from 1; 0: none. Set through ctypes.
int failing_opencl_at;
int failing_opencl_calls;
// Contexts, queues, buffers, programs and kernels that were not released.
int failing_opencl_live;

enum { CL_OUT_OF_RESOURCES = -5 };

static void* real(const char* name) {
  static void* library;
  if (library == NULL) {
    library = dlopen(getenv("FAILING_OPENCL_REAL"), RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) abort();
  }
  return dlsym(library, name);
}

static int fails(void) { return ++failing_opencl_calls == failing_opencl_at; }

// A call that returns a status.
#define STATUS(name, parameters, arguments)     \
  cl_int name parameters {                      \
    cl_int(*function) parameters = real(#name); \
    if (fails()) return CL_OUT_OF_RESOURCES;    \
    return function arguments;                  \
  }

// A call that creates an object; its last parameter receives the status.
#define CREATE(type, name, parameters, arguments) \
  type name parameters {                          \
    type(*function) parameters = real(#name);     \
    if (fails()) {                                \
      *status = CL_OUT_OF_RESOURCES;              \
      return NULL;                                \
    }                                             \
    type object = function arguments;             \
    failing_opencl_live += object != NULL;        \
    return object;                                \
  }

// Releases do not fail.
#define RELEASE(name, type)                 \
  cl_int name(type object) {                \
    cl_int (*function)(type) = real(#name); \
    --failing_opencl_live;                  \
    return function(object);                \
  }

STATUS(clGetPlatformIDs, (cl_uint n, cl_platform_id* p, cl_uint* count),
       (n, p, count))
STATUS(clGetDeviceIDs,
       (cl_platform_id p, cl_ulong type, cl_uint n, cl_device_id* d,
        cl_uint* count),
       (p, type, n, d, count))
cl_int clGetDeviceInfo(cl_device_id d, cl_uint what, size_t n, void* to,
                       size_t* size) {
  cl_int (*function)(cl_device_id, cl_uint, size_t, void*, size_t*) =
      real("clGetDeviceInfo");
  const char* gpu = getenv("FAILING_OPENCL_GPU");
  const char* items = getenv("FAILING_OPENCL_ITEMS");
  const char* bytes = getenv("FAILING_OPENCL_BYTES");
  if (fails()) return CL_OUT_OF_RESOURCES;
  const cl_int status = function(d, what, n, to, size);
  if (to == NULL || status != CL_SUCCESS) return status;
  if (items != NULL && what == CL_DEVICE_MAX_WORK_GROUP_SIZE) {
    *(size_t*)to = strtoul(items, NULL, 10);
  }
  if (bytes != NULL && what == CL_DEVICE_LOCAL_MEM_SIZE) {
    *(cl_ulong*)to = strtoul(bytes, NULL, 10);
  }
  if (gpu == NULL) return status;
  if (what == CL_DEVICE_NAME) strncpy(to, gpu, n);
  if (what == CL_DEVICE_TYPE) *(cl_ulong*)to = CL_DEVICE_TYPE_GPU;
  return status;
}
CREATE(cl_context, clCreateContext,
       (const intptr_t* p, cl_uint n, const cl_device_id* d, void* f, void* u,
        cl_int* status),
       (p, n, d, f, u, status))
CREATE(cl_command_queue, clCreateCommandQueue,
       (cl_context c, cl_device_id d, cl_ulong flags, cl_int* status),
       (c, d, flags, status))
CREATE(cl_mem, clCreateBuffer,
       (cl_context c, cl_ulong flags, size_t n, void* from, cl_int* status),
       (c, flags, n, from, status))
CREATE(cl_program, clCreateProgramWithSource,
       (cl_context c, cl_uint n, const char** s, const size_t* l,
        cl_int* status),
       (c, n, s, l, status))
CREATE(cl_program, clCreateProgramWithBinary,
       (cl_context c, cl_uint n, const cl_device_id* d, const size_t* l,
        const unsigned char** b, cl_int* s, cl_int* status),
       (c, n, d, l, b, s, status))
CREATE(cl_kernel, clCreateKernel,
       (cl_program p, const char* name, cl_int* status), (p, name, status))
STATUS(clBuildProgram,
       (cl_program p, cl_uint n, const cl_device_id* d, const char* options,
        void* f, void* u),
       (p, n, d, options, f, u))
STATUS(clGetProgramInfo,
       (cl_program p, cl_uint what, size_t n, void* to, size_t* size),
       (p, what, n, to, size))
STATUS(clGetProgramBuildInfo,
       (cl_program p, cl_device_id d, cl_uint what, size_t n, void* to,
        size_t* size),
       (p, d, what, n, to, size))
STATUS(clSetKernelArg, (cl_kernel k, cl_uint i, size_t n, const void* value),
       (k, i, n, value))
STATUS(clGetKernelWorkGroupInfo,
       (cl_kernel k, cl_device_id d, cl_uint what, size_t n, void* to,
        size_t* size),
       (k, d, what, n, to, size))
STATUS(clEnqueueNDRangeKernel,
       (cl_command_queue q, cl_kernel k, cl_uint n, const size_t* offset,
        const size_t* global, const size_t* local, cl_uint waits,
        const cl_event* wait, cl_event* event),
       (q, k, n, offset, global, local, waits, wait, event))
STATUS(clEnqueueWriteBuffer,
       (cl_command_queue q, cl_mem m, cl_uint block, size_t offset, size_t n,
        const void* from, cl_uint waits, const cl_event* wait, cl_event* event),
       (q, m, block, offset, n, from, waits, wait, event))
STATUS(clEnqueueReadBuffer,
       (cl_command_queue q, cl_mem m, cl_uint block, size_t offset, size_t n,
        void* to, cl_uint waits, const cl_event* wait, cl_event* event),
       (q, m, block, offset, n, to, waits, wait, event))

// Waits even when it fails: callers then free memory.
cl_int clFinish(cl_command_queue queue) {
  cl_int (*function)(cl_command_queue) = real("clFinish");
  const cl_int status = function(queue);
  return fails() ? CL_OUT_OF_RESOURCES : status;
}

RELEASE(clReleaseContext, cl_context)
RELEASE(clReleaseCommandQueue, cl_command_queue)
RELEASE(clReleaseMemObject, cl_mem)
RELEASE(clReleaseProgram, cl_program)
RELEASE(clReleaseKernel, cl_kernel)
