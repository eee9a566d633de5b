// The parts of the `tflite-micro` Python wheel that a custom operator needs.
//
// The wheel ships no headers, and its C++ types moved during 2026. So nothing
// here assumes more than it can check in the running process: functions are
// found by their mangled names (which spell out their argument types), and the
// layout of every struct that is read or written is proven on data whose
// meaning is known. What cannot be proven is refused.
#ifndef SPARSESEP_TFLM_WHEEL_ABI_H_
#define SPARSESEP_TFLM_WHEEL_ABI_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { WHEEL_OK = 0, WHEEL_ERROR = 1 };                       // TfLiteStatus
enum { WHEEL_FLOAT32 = 1, WHEEL_UINT8 = 3, WHEEL_INT8 = 9 };  // TfLiteType

typedef struct WheelIntArray {
  int32_t size;
  int32_t data[];
} WheelIntArray;

typedef struct WheelEvalTensor {
  void* data;
  const WheelIntArray* dims;
  int32_t type;
} WheelEvalTensor;

typedef struct WheelNode {
  const WheelIntArray* inputs;
  const WheelIntArray* outputs;
  const WheelIntArray* intermediates;
  void* user_data;
} WheelNode;

// TFLMRegistration: what a kernel is to the interpreter.
typedef struct WheelRegistration {
  void* (*init)(void* context, const char* options, size_t options_bytes);
  void (*free)(void* context, void* user_data);
  int (*prepare)(void* context, WheelNode* node);
  int (*invoke)(void* context, WheelNode* node);
  void (*reset)(void* context, void* user_data);
  int32_t builtin_code;
  const char* custom_name;
} WheelRegistration;

// Functions of the wheel. TfLiteContext stays opaque in both generations.
typedef struct WheelApi {
  void* (*allocate_persistent)(void* context, size_t bytes);
  int (*request_scratch)(void* context, size_t bytes, int* index);
  void* (*get_scratch)(void* context, int index);
  const WheelEvalTensor* (*get_input)(const void* context,
                                      const WheelNode* node, int index);
  const WheelEvalTensor* (*get_output)(const void* context,
                                       const WheelNode* node, int index);
} WheelApi;

// Recognizes the wheel that made `resolver` (a tflite::PythonOpsResolver) and
// fills `api`. NULL on success, else one line that says what is different.
const char* wheel_recognize(void* resolver, WheelApi* api);

// Appends `registration` to a recognized resolver; adding the same one twice
// is fine. NULL on success, else why not; the resolver is then unchanged.
const char* wheel_add_custom(void* resolver,
                             const WheelRegistration* registration);

#endif  // SPARSESEP_TFLM_WHEEL_ABI_H_
