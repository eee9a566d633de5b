#include "tensorflow/lite/micro/micro_interpreter.h"

#include "flatbuffer.h"
#include "tensorflow/lite/micro/kernels/kernel_util.h"
#include "tensorflow/lite/micro/micro_context.h"
#include "tensorflow/lite/micro/micro_log.h"

namespace tflite {
namespace {

constexpr int kCustom = 32;

// Vectors of int32 in the file have the layout of TfLiteIntArray.
TfLiteIntArray* IntArray(const uint8_t* vector) {
  return reinterpret_cast<TfLiteIntArray*>(const_cast<uint8_t*>(vector));
}

MicroInterpreter* Interpreter(const TfLiteContext* context) {
  return static_cast<MicroInterpreter*>(context->impl_);
}

// The schema counts from 0, TfLiteType from 1.
TfLiteType ToType(int schema_type) {
  return static_cast<TfLiteType>(schema_type == 0 ? kTfLiteFloat32
                                                  : schema_type);
}

std::size_t ElementBytes(TfLiteType type) {
  return type == kTfLiteFloat32 || type == kTfLiteInt32 ? 4 : 1;
}

TfLiteStatus CopyInput(TfLiteContext* context, TfLiteNode* node) {
  const TfLiteEvalTensor* input = micro::GetEvalInput(context, node, 0);
  TfLiteEvalTensor* output = micro::GetEvalOutput(context, node, 0);
  std::size_t bytes = ElementBytes(input->type);
  for (int i = 0; i < input->dims->size; ++i) {
    bytes *= static_cast<std::size_t>(input->dims->data[i]);
  }
  std::memcpy(output->data.data, input->data.data, bytes);
  return kTfLiteOk;
}

}  // namespace

namespace micro {

const TfLiteEvalTensor* GetEvalInput(const TfLiteContext* context,
                                     const TfLiteNode* node, int index) {
  return Interpreter(context)->Tensor(node->inputs->data[index]);
}

TfLiteEvalTensor* GetEvalOutput(const TfLiteContext* context,
                                const TfLiteNode* node, int index) {
  return Interpreter(context)->Tensor(node->outputs->data[index]);
}

}  // namespace micro

MicroContext* GetMicroContext(const TfLiteContext* context) {
  return Interpreter(context);
}

TfLiteTensor* MicroContext::AllocateTempOutputTensor(const TfLiteNode* node,
                                                     int index) {
  const int tensor = node->outputs->data[index];
  const auto* interpreter = static_cast<const MicroInterpreter*>(this);
  temporary_.allocation_type =
      interpreter->IsConstant(tensor) ? kTfLiteMmapRo : kTfLiteArenaRw;
  return &temporary_;
}

TfLiteRegistration* Register_RESHAPE() {
  static TfLiteRegistration registration = {nullptr, nullptr, CopyInput};
  return &registration;
}

void* MicroInterpreter::Allocate(std::size_t bytes) {
  const std::size_t start = (used_ + 15) & ~static_cast<std::size_t>(15);
  if (bytes > arena_bytes_ || start > arena_bytes_ - bytes) {
    MicroPrintf("arena of %d bytes is full", static_cast<int>(arena_bytes_));
    return nullptr;
  }
  used_ = start + bytes;
  return arena_ + start;
}

TfLiteStatus MicroInterpreter::RequestScratch(std::size_t bytes, int* index) {
  if (scratches_ == kMaxScratch) return kTfLiteError;
  *index = scratches_++;
  scratch_[*index] = Allocate(bytes);
  return scratch_[*index] == nullptr ? kTfLiteError : kTfLiteOk;
}

TfLiteStatus MicroInterpreter::PlaceTensor(const uint8_t* tensor,
                                           const uint8_t* buffers, int index) {
  TfLiteEvalTensor& placed = tensors_[index];
  placed.dims = IntArray(Reference(tensor, 0));
  const uint8_t* type = Field(tensor, 1);
  placed.type = ToType(type == nullptr ? 0 : *type);
  const uint8_t* buffer = Field(tensor, 2);
  const uint8_t* data = nullptr;
  if (buffer != nullptr) {
    data = Reference(Element(buffers, Read32(buffer)), 0);
  }
  if (data != nullptr && Read32(data) > 0) {
    placed.data.data = const_cast<uint8_t*>(data + 4);
    return kTfLiteOk;
  }
  std::size_t bytes = ElementBytes(placed.type);
  for (int i = 0; placed.dims != nullptr && i < placed.dims->size; ++i) {
    bytes *= static_cast<std::size_t>(placed.dims->data[i]);
  }
  tensor_bytes_[index] = bytes;
  placed.data.data = Allocate(bytes);
  return placed.data.data == nullptr ? kTfLiteError : kTfLiteOk;
}

TfLiteStatus MicroInterpreter::PrepareOperator(const uint8_t* op,
                                               const uint8_t* codes,
                                               int index) {
  const uint8_t* opcode = Field(op, 0);
  const uint8_t* code = Element(codes, opcode == nullptr ? 0 : Read32(opcode));
  const uint8_t* builtin = Field(code, 3);
  const uint8_t* name = Reference(code, 1);
  const int number = builtin == nullptr ? 0 : static_cast<int>(Read32(builtin));
  const TfLiteRegistration* found = resolver_.FindOp(
      number == kCustom ? reinterpret_cast<const char*>(name + 4) : nullptr,
      number);
  if (found == nullptr) {
    MicroPrintf("operator %d is not registered", number);
    return kTfLiteError;
  }
  TfLiteNode& node = nodes_[index];
  node.inputs = IntArray(Reference(op, 1));
  node.outputs = IntArray(Reference(op, 2));
  registrations_[index] = found;
  if (found->init != nullptr) {
    const uint8_t* options = Reference(op, 5);
    const bool has_options = options != nullptr;
    node.user_data = found->init(
        &context_,
        has_options ? reinterpret_cast<const char*>(options + 4) : nullptr,
        has_options ? Read32(options) : 0);
  }
  if (found->prepare == nullptr) return kTfLiteOk;
  return found->prepare(&context_, &node);
}

void MicroInterpreter::Describe(const uint8_t* indices,
                                TfLiteTensor* described) {
  const TfLiteIntArray* tensors = IntArray(indices);
  for (int i = 0; i < tensors->size && i < kMaxInputs; ++i) {
    described[i].data = tensors_[tensors->data[i]].data;
    described[i].bytes = tensor_bytes_[tensors->data[i]];
  }
}

TfLiteStatus MicroInterpreter::AllocateTensors() {
  const uint8_t* root = file_ + Read32(file_);
  const uint8_t* codes = Reference(root, 1);
  const uint8_t* buffers = Reference(root, 4);
  const uint8_t* graph = Element(Reference(root, 2), 0);
  const uint8_t* tensors = Reference(graph, 0);
  const uint8_t* ops = Reference(graph, 3);
  const int count = static_cast<int>(Read32(tensors));
  operators_ = static_cast<int>(Read32(ops));
  if (count > kMaxTensors || operators_ > kMaxOperators) return kTfLiteError;
  for (int i = 0; i < count; ++i) {
    const uint8_t* tensor = Element(tensors, static_cast<uint32_t>(i));
    if (PlaceTensor(tensor, buffers, i) != kTfLiteOk) return kTfLiteError;
  }
  for (int i = 0; i < operators_; ++i) {
    const uint8_t* op = Element(ops, static_cast<uint32_t>(i));
    if (PrepareOperator(op, codes, i) != kTfLiteOk) return kTfLiteError;
  }
  Describe(Reference(graph, 1), io_);
  Describe(Reference(graph, 2), io_ + kMaxInputs);
  return kTfLiteOk;
}

TfLiteStatus MicroInterpreter::Invoke() {
  for (int i = 0; i < operators_; ++i) {
    if (registrations_[i]->invoke(&context_, nodes_ + i) != kTfLiteOk) {
      return kTfLiteError;
    }
  }
  return kTfLiteOk;
}

}  // namespace tflite

void* MicroContextAllocatePersistentBuffer(TfLiteContext* context,
                                           std::size_t bytes) {
  return tflite::Interpreter(context)->Allocate(bytes);
}

TfLiteStatus MicroContextRequestScratchBufferInArena(TfLiteContext* context,
                                                     std::size_t bytes,
                                                     int* index) {
  return tflite::Interpreter(context)->RequestScratch(bytes, index);
}

void* MicroContextGetScratchBuffer(TfLiteContext* context, int index) {
  return tflite::Interpreter(context)->Scratch(index);
}
