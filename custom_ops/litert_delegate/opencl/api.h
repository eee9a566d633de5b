// The part of OpenCL 1.2 that the delegate uses, found by dlopen: building
// and loading it need neither headers nor a library of OpenCL.
#ifndef SPARSESEP_DELEGATE_OPENCL_API_H_
#define SPARSESEP_DELEGATE_OPENCL_API_H_

#include <stddef.h>
#include <stdint.h>

typedef int32_t cl_int;
typedef uint32_t cl_uint;
typedef uint64_t cl_ulong;
typedef struct _cl_platform_id* cl_platform_id;
typedef struct _cl_device_id* cl_device_id;
typedef struct _cl_context* cl_context;
typedef struct _cl_command_queue* cl_command_queue;
typedef struct _cl_mem* cl_mem;
typedef struct _cl_program* cl_program;
typedef struct _cl_kernel* cl_kernel;
typedef struct _cl_event* cl_event;

enum {
  CL_SUCCESS = 0,
  CL_TRUE = 1,
  CL_FALSE = 0,
  CL_DEVICE_TYPE_CPU = 1 << 1,
  CL_DEVICE_TYPE_GPU = 1 << 2,
  CL_MEM_READ_WRITE = 1 << 0,
  CL_MEM_READ_ONLY = 1 << 2,
  CL_MEM_COPY_HOST_PTR = 1 << 5,
  CL_DEVICE_TYPE = 0x1000,
  CL_DEVICE_MAX_WORK_GROUP_SIZE = 0x1004,
  CL_DEVICE_LOCAL_MEM_SIZE = 0x1023,
  CL_DEVICE_NAME = 0x102B,
  CL_DRIVER_VERSION = 0x102D,
  CL_DEVICE_VERSION = 0x102F,
  CL_PROGRAM_BINARY_SIZES = 0x1165,
  CL_PROGRAM_BINARIES = 0x1166,
  CL_PROGRAM_BUILD_LOG = 0x1183,
  CL_KERNEL_WORK_GROUP_SIZE = 0x11B0,
};
#define CL_DEVICE_TYPE_ALL 0xFFFFFFFFu

// ROW(result, name, parameters)
#define SPARSESEP_OPENCL_FUNCTIONS(ROW)                                        \
  ROW(cl_int, clGetPlatformIDs, (cl_uint, cl_platform_id*, cl_uint*))          \
  ROW(cl_int, clGetDeviceIDs,                                                  \
      (cl_platform_id, cl_ulong, cl_uint, cl_device_id*, cl_uint*))            \
  ROW(cl_int, clGetDeviceInfo,                                                 \
      (cl_device_id, cl_uint, size_t, void*, size_t*))                         \
  ROW(cl_context, clCreateContext,                                             \
      (const intptr_t*, cl_uint, const cl_device_id*, void*, void*, cl_int*))  \
  ROW(cl_int, clReleaseContext, (cl_context))                                  \
  ROW(cl_command_queue, clCreateCommandQueue,                                  \
      (cl_context, cl_device_id, cl_ulong, cl_int*))                           \
  ROW(cl_int, clReleaseCommandQueue, (cl_command_queue))                       \
  ROW(cl_mem, clCreateBuffer, (cl_context, cl_ulong, size_t, void*, cl_int*))  \
  ROW(cl_int, clReleaseMemObject, (cl_mem))                                    \
  ROW(cl_program, clCreateProgramWithSource,                                   \
      (cl_context, cl_uint, const char**, const size_t*, cl_int*))             \
  ROW(cl_program, clCreateProgramWithBinary,                                   \
      (cl_context, cl_uint, const cl_device_id*, const size_t*,                \
       const unsigned char**, cl_int*, cl_int*))                               \
  ROW(cl_int, clBuildProgram,                                                  \
      (cl_program, cl_uint, const cl_device_id*, const char*, void*, void*))   \
  ROW(cl_int, clGetProgramInfo, (cl_program, cl_uint, size_t, void*, size_t*)) \
  ROW(cl_int, clGetProgramBuildInfo,                                           \
      (cl_program, cl_device_id, cl_uint, size_t, void*, size_t*))             \
  ROW(cl_int, clReleaseProgram, (cl_program))                                  \
  ROW(cl_kernel, clCreateKernel, (cl_program, const char*, cl_int*))           \
  ROW(cl_int, clReleaseKernel, (cl_kernel))                                    \
  ROW(cl_int, clGetKernelWorkGroupInfo,                                        \
      (cl_kernel, cl_device_id, cl_uint, size_t, void*, size_t*))              \
  ROW(cl_int, clSetKernelArg, (cl_kernel, cl_uint, size_t, const void*))       \
  ROW(cl_int, clEnqueueNDRangeKernel,                                          \
      (cl_command_queue, cl_kernel, cl_uint, const size_t*, const size_t*,     \
       const size_t*, cl_uint, const cl_event*, cl_event*))                    \
  ROW(cl_int, clEnqueueWriteBuffer,                                            \
      (cl_command_queue, cl_mem, cl_uint, size_t, size_t, const void*,         \
       cl_uint, const cl_event*, cl_event*))                                   \
  ROW(cl_int, clEnqueueReadBuffer,                                             \
      (cl_command_queue, cl_mem, cl_uint, size_t, size_t, void*, cl_uint,      \
       const cl_event*, cl_event*))                                            \
  ROW(cl_int, clFinish, (cl_command_queue))

typedef struct SparsesepOpenclApi {
#define SPARSESEP_MEMBER(result, name, parameters) result(*name) parameters;
  SPARSESEP_OPENCL_FUNCTIONS(SPARSESEP_MEMBER)
#undef SPARSESEP_MEMBER
} SparsesepOpenclApi;

// Returns the library's functions, loaded once per process; NULL without a
// library.
const SparsesepOpenclApi* sparsesep_opencl_api(void);

#endif  // SPARSESEP_DELEGATE_OPENCL_API_H_
