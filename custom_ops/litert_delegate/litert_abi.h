// What this library shares with LiteRT 2: the layout of an accelerator's
// definition, version 1, and of the one function that it calls back. 64-bit.
#ifndef SPARSESEP_DELEGATE_LITERT_ABI_H_
#define SPARSESEP_DELEGATE_LITERT_ABI_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tflite_abi.h"

typedef int32_t LiteRtStatus;
#define LITERT_OK 0
#define LITERT_INVALID_ARGUMENT 1
#define LITERT_OUT_OF_MEMORY 2
#define LITERT_WRONG_VERSION 8

#define LITERT_GPU 2  // in the set of hardware that an accelerator supports

typedef struct LiteRtAbi {
  uint16_t bytes;  // of the structure that begins with this
  uint16_t major_version;
  uint16_t minor_version;
  uint16_t reserved;
} LiteRtAbi;

typedef struct LiteRtVersion {
  int32_t major, minor, patch;
} LiteRtVersion;

// Functions of the runtime. Those before wrap_delegate are not called.
typedef struct LiteRtRuntime {
  LiteRtAbi abi;
  void (*not_called[17])(void);
  LiteRtStatus (*wrap_delegate)(TfLiteDelegate* delegate,
                                void (*deleter)(TfLiteDelegate*),
                                void** wrapper);
} LiteRtRuntime;

// Handlers of tensor buffers of its own, of which this accelerator has none.
typedef struct LiteRtBufferHandlers {
  LiteRtAbi abi;
  void (*functions[6])(void);
  int32_t device_tag, queue_tag;
  size_t supported_types;
  int32_t types[16];
} LiteRtBufferHandlers;

typedef struct LiteRtAccelerator {
  LiteRtAbi abi;
  LiteRtStatus (*name)(const void* accelerator, const char** name);
  LiteRtStatus (*version)(const void* accelerator, LiteRtVersion* version);
  LiteRtStatus (*hardware)(const void* accelerator, int32_t* supported);
  LiteRtStatus (*compiles_just_in_time)(const void* accelerator, bool* does);
  LiteRtStatus (*create_delegate)(const LiteRtRuntime* runtime,
                                  void* environment, const void* accelerator,
                                  void* options, void** wrapper);
  LiteRtStatus (*start_metrics)(const LiteRtRuntime* runtime, void* wrapper,
                                int32_t detail);
  LiteRtStatus (*stop_metrics)(const LiteRtRuntime* runtime, void* wrapper,
                               void* metrics);
  LiteRtBufferHandlers buffers;
} LiteRtAccelerator;

_Static_assert(sizeof(void*) != 8 ||
                   offsetof(LiteRtRuntime, wrap_delegate) == 144,
               "layout of LiteRT's function table");
_Static_assert(sizeof(void*) != 8 || sizeof(LiteRtBufferHandlers) == 136,
               "layout of LiteRT's buffer handlers");
_Static_assert(sizeof(void*) != 8 || sizeof(LiteRtAccelerator) == 200,
               "layout of LiteRT's accelerators");

#endif  // SPARSESEP_DELEGATE_LITERT_ABI_H_
