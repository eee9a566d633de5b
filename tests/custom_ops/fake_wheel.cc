// A stand-in for the interpreter library of a `tflite-micro` wheel: the same
// symbols, as far as the adapter looks at them, with layouts that macros
// change. test_wheel_refusal.py builds it.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <initializer_list>

#ifndef RESOLVER_SIZE
#define RESOLVER_SIZE 200
#endif
#ifndef RESOLVER_CLASS
#define RESOLVER_CLASS PythonOpsResolver
#endif

struct TfLiteContext {
  void* impl;
};

struct TfLiteIntArray {
  int size;
  int data[4];
};

enum TfLiteStatus { kTfLiteOk, kTfLiteError };

enum TfLiteType {
  kTfLiteFloat32 = 1,
  kTfLiteUInt8 = 3,
  kTfLiteInt8 = 9,
};

struct TfLiteEvalTensor {
  void* data;
#ifdef TENSOR_HAS_NEW_FIELD
  size_t bytes;
#endif
  TfLiteIntArray* dims;
  TfLiteType type;
};

struct TfLiteNode {
  TfLiteIntArray* inputs;
  TfLiteIntArray* outputs;
  TfLiteIntArray* intermediates;
#ifdef NODE_HAS_NEW_FIELD
  intptr_t identity = 3;
#endif
  void* user_data;
};

struct TFLMRegistration {
  void* (*init)(TfLiteContext*, const char*, size_t);
#ifdef REGISTRATION_HAS_NEW_FIELD
  uint64_t flags;
#endif
#ifdef REGISTRATION_IS_REORDERED
  TfLiteStatus (*prepare)(TfLiteContext*, TfLiteNode*);
  void (*free)(TfLiteContext*, void*);
#else
  void (*free)(TfLiteContext*, void*);
  TfLiteStatus (*prepare)(TfLiteContext*, TfLiteNode*);
#endif
  TfLiteStatus (*invoke)(TfLiteContext*, TfLiteNode*);
  void (*reset)(TfLiteContext*, void*);
  int32_t builtin_code;
  const char* custom_name;
};

#ifdef TYPES_ARE_RENUMBERED
extern "C" const char* TfLiteTypeGetName(TfLiteType type) {
  return type == kTfLiteInt8 ? "INT4" : "FLOAT32";
}
#else
extern "C" const char* TfLiteTypeGetName(TfLiteType type) {
  return type == kTfLiteFloat32 ? "FLOAT32"
         : type == kTfLiteUInt8 ? "UINT8"
         : type == kTfLiteInt8  ? "INT8"
                                : "OTHER";
}
#endif

namespace tflite {

enum BuiltinOperator : int32_t { kCustom = 32, kPrelu = 54, kRelu = 19 };

class MicroOpResolver {
 public:
#ifdef METHODS_ARE_REORDERED
  virtual const TFLMRegistration* FindOp(const char* op) const = 0;
  virtual const TFLMRegistration* FindOp(BuiltinOperator op) const = 0;
#else
  virtual const TFLMRegistration* FindOp(BuiltinOperator op) const = 0;
  virtual const TFLMRegistration* FindOp(const char* op) const = 0;
#endif
  virtual ~MicroOpResolver() = default;
};

template <unsigned int kCapacity>
class MicroMutableOpResolver : public MicroOpResolver {
 public:
  const TFLMRegistration* FindOp(BuiltinOperator op) const override {
    for (unsigned int i = 0; i < count_; ++i) {
      if (registrations_[i].builtin_code == op) return &registrations_[i];
    }
    return nullptr;
  }

  const TFLMRegistration* FindOp(const char* op) const override {
    for (unsigned int i = 0; i < count_; ++i) {
      if (registrations_[i].builtin_code == kCustom &&
          strcmp(registrations_[i].custom_name, op) == 0) {
        return &registrations_[i];
      }
    }
    return nullptr;
  }

 protected:
#ifdef RESOLVER_HAS_NEW_FIELD
  uint64_t generation_ = 1;
#endif
  TFLMRegistration registrations_[kCapacity];
  unsigned int count_ = 0;
  uint64_t parsers_[2 * kCapacity] = {};
};

// Like RuntimeShape too big, and not simple enough, to come in registers.
struct Shape {
  ~Shape() {}
  int32_t size;
  int32_t dims[6];
};

namespace micro {

Shape GetTensorShape(const TfLiteEvalTensor* tensor) {
  Shape shape = {};
  shape.size = tensor->dims->size;
  for (int i = 0; i < shape.size && i < 4; ++i) {
    shape.dims[i] = tensor->dims->data[i];
  }
  return shape;
}

void* PreluInit(TfLiteContext*, const char*, size_t) { return nullptr; }
TfLiteStatus PreluPrepare(TfLiteContext*, TfLiteNode*) { return kTfLiteOk; }
TfLiteStatus PreluEval(TfLiteContext*, TfLiteNode*) { return kTfLiteOk; }

const TfLiteEvalTensor* GetEvalInput(const TfLiteContext*, const TfLiteNode*,
                                     int) {
  return nullptr;
}
TfLiteEvalTensor* GetEvalOutput(const TfLiteContext*, const TfLiteNode*, int) {
  return nullptr;
}

}  // namespace micro

class RESOLVER_CLASS : public MicroMutableOpResolver<RESOLVER_SIZE> {
 public:
  RESOLVER_CLASS();
};

RESOLVER_CLASS::RESOLVER_CLASS() {
  for (int32_t code : {kRelu, kPrelu}) {
    TFLMRegistration* entry = &registrations_[count_++];
    *entry = {};
    entry->init = micro::PreluInit;
    entry->prepare = micro::PreluPrepare;
    entry->invoke = micro::PreluEval;
    entry->builtin_code = code;
  }
}

TfLiteStatus TfLiteEvalTensorByteLength(const TfLiteEvalTensor* tensor,
                                        size_t* bytes) {
  *bytes = tensor->type == kTfLiteFloat32 ? 4 : 1;
  for (int i = 0; i < tensor->dims->size && i < 4; ++i) {
    *bytes *= tensor->dims->data[i];
  }
  return kTfLiteOk;
}

void* MicroContextAllocatePersistentBuffer(TfLiteContext*, size_t bytes) {
  static uint64_t arena[64];
  return bytes <= sizeof(arena) ? arena : nullptr;
}
TfLiteStatus MicroContextRequestScratchBufferInArena(TfLiteContext*, size_t,
                                                     int*) {
  return kTfLiteError;
}
#ifndef GET_SCRATCH_IS_MISSING
void* MicroContextGetScratchBuffer(TfLiteContext*, int) { return nullptr; }
#endif

}  // namespace tflite

extern "C" void* fake_new_resolver() { return new tflite::RESOLVER_CLASS(); }

// Init and Prepare of an operator without tensors. -1 where it is not found.
extern "C" int fake_prepare(const void* resolver, const char* name) {
  const TFLMRegistration* op =
      static_cast<const tflite::RESOLVER_CLASS*>(resolver)->FindOp(name);
  if (op == nullptr) return -1;
  TfLiteContext context = {};
  TfLiteIntArray none = {};
  TfLiteNode node = {};
  node.inputs = node.outputs = node.intermediates = &none;
  node.user_data = op->init(&context, nullptr, 0);
  return op->prepare(&context, &node);
}
