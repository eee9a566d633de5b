#ifndef TENSORFLOW_LITE_MICRO_MICRO_INTERPRETER_H_
#define TENSORFLOW_LITE_MICRO_MICRO_INTERPRETER_H_

#include "tensorflow/lite/micro/micro_context.h"
#include "tensorflow/lite/micro/micro_mutable_op_resolver.h"
#include "tensorflow/lite/schema/schema_generated.h"

namespace tflite {

class MicroInterpreter : public MicroContext {
 public:
  MicroInterpreter(const Model* model, const MicroOpResolver& resolver,
                   uint8_t* arena, std::size_t arena_bytes)
      : file_(reinterpret_cast<const uint8_t*>(model)),
        resolver_(resolver),
        arena_(arena),
        arena_bytes_(arena_bytes) {
    context_.impl_ = this;
  }

  TfLiteStatus AllocateTensors();
  TfLiteStatus Invoke();
  TfLiteTensor* input(int index) { return io_ + index; }
  TfLiteTensor* output(int index) { return io_ + kMaxInputs + index; }
  std::size_t arena_used_bytes() const { return used_; }

  void* Allocate(std::size_t bytes);
  TfLiteStatus RequestScratch(std::size_t bytes, int* index);
  void* Scratch(int index) const { return scratch_[index]; }
  TfLiteEvalTensor* Tensor(int index) { return tensors_ + index; }
  // The arena places every tensor that has no constant data.
  bool IsConstant(int index) const { return tensor_bytes_[index] == 0; }

 private:
  static constexpr int kMaxTensors = 32;
  static constexpr int kMaxOperators = 16;
  static constexpr int kMaxScratch = 16;
  static constexpr int kMaxInputs = 4;

  TfLiteStatus PlaceTensor(const uint8_t* tensor, const uint8_t* buffers,
                           int index);
  TfLiteStatus PrepareOperator(const uint8_t* op, const uint8_t* codes,
                               int index);
  void Describe(const uint8_t* indices, TfLiteTensor* described);

  TfLiteContext context_ = {};
  const uint8_t* file_;
  const MicroOpResolver& resolver_;
  uint8_t* arena_;
  std::size_t arena_bytes_;
  std::size_t used_ = 0;
  TfLiteEvalTensor tensors_[kMaxTensors] = {};
  std::size_t tensor_bytes_[kMaxTensors] = {};
  TfLiteTensor io_[2 * kMaxInputs] = {};
  TfLiteNode nodes_[kMaxOperators] = {};
  const TfLiteRegistration* registrations_[kMaxOperators] = {};
  int operators_ = 0;
  void* scratch_[kMaxScratch] = {};
  int scratches_ = 0;
};

}  // namespace tflite

#endif  // TENSORFLOW_LITE_MICRO_MICRO_INTERPRETER_H_
