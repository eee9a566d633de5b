#ifndef TENSORFLOW_LITE_C_COMMON_H_
#define TENSORFLOW_LITE_C_COMMON_H_

#include <cstddef>
#include <cstdint>

enum TfLiteStatus { kTfLiteOk = 0, kTfLiteError = 1 };

enum TfLiteType {
  kTfLiteFloat32 = 1,
  kTfLiteInt32 = 2,
  kTfLiteUInt8 = 3,
  kTfLiteInt8 = 9,
};

struct TfLiteIntArray {
  int size;
  int data[1];
};

union TfLitePtrUnion {
  void* data;
  char* raw;
};

struct TfLiteEvalTensor {
  TfLitePtrUnion data;
  TfLiteIntArray* dims;
  TfLiteType type;
};

enum TfLiteAllocationType {
  kTfLiteMemNone = 0,
  kTfLiteMmapRo,
  kTfLiteArenaRw,
};

struct TfLiteTensor {
  TfLiteAllocationType allocation_type;
  TfLitePtrUnion data;
  std::size_t bytes;
};

struct TfLiteNode {
  TfLiteIntArray* inputs;
  TfLiteIntArray* outputs;
  void* user_data;
};

struct TfLiteContext {
  void* impl_;
};

struct TfLiteRegistration {
  void* (*init)(TfLiteContext* context, const char* buffer, std::size_t length);
  TfLiteStatus (*prepare)(TfLiteContext* context, TfLiteNode* node);
  TfLiteStatus (*invoke)(TfLiteContext* context, TfLiteNode* node);
};

#endif  // TENSORFLOW_LITE_C_COMMON_H_
