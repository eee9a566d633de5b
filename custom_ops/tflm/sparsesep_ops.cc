#include "tflm/sparsesep_ops.h"

#include "core/separable_conv_2d_op.h"
#include "core/sparse_conv_2d_op.h"
#include "core/sparse_fully_connected_op.h"
#include "tensorflow/lite/micro/micro_context.h"
#include "tensorflow/lite/micro/micro_log.h"
#include "tflm/micro_host.h"

namespace tflite {
namespace micro {
namespace {

TfLiteContext* Context(const SparsesepHost* host) {
  return static_cast<TfLiteContext*>(host->context);
}

SparsesepTensorType TensorType(TfLiteType type) {
  switch (type) {
    case kTfLiteInt8:
      return SPARSESEP_TENSOR_INT8;
    case kTfLiteUInt8:
      return SPARSESEP_TENSOR_UINT8;
    case kTfLiteFloat32:
      return SPARSESEP_TENSOR_FLOAT32;
    default:
      return SPARSESEP_TENSOR_OTHER;
  }
}

bool HasTensor(const TfLiteIntArray* indices, int position) {
  return indices != nullptr && position < indices->size &&
         indices->data[position] >= 0;
}

SparsesepStatus GetTensor(const SparsesepHost* host, SparsesepTensorSlot slot,
                          SparsesepTensor* tensor) {
  const TfLiteNode* node = static_cast<const TfLiteNode*>(host->node);
  const TfLiteEvalTensor* found = nullptr;
  const int position = sparsesep_input_of_slot(slot);
  if (slot == SPARSESEP_SLOT_OUTPUT) {
    if (HasTensor(node->outputs, 0)) {
      found = GetEvalOutput(Context(host), node, 0);
    }
  } else if (HasTensor(node->inputs, position)) {
    found = GetEvalInput(Context(host), node, position);
  }
  if (found == nullptr || found->dims == nullptr) return SPARSESEP_BAD_TENSOR;
  tensor->data = found->data.data;
  tensor->dims = reinterpret_cast<const int32_t*>(found->dims->data);
  tensor->rank = found->dims->size;
  tensor->type = TensorType(found->type);
  return SPARSESEP_OK;
}

void* AllocatePersistent(const SparsesepHost* host, size_t bytes) {
  return MicroContextAllocatePersistentBuffer(Context(host), bytes);
}

SparsesepStatus RequestScratch(const SparsesepHost* host, size_t bytes,
                               int* scratch_index) {
  const TfLiteStatus status = MicroContextRequestScratchBufferInArena(
      Context(host), bytes, scratch_index);
  return status == kTfLiteOk ? SPARSESEP_OK : SPARSESEP_OUT_OF_MEMORY;
}

void* GetScratch(const SparsesepHost* host, int scratch_index) {
  return MicroContextGetScratchBuffer(Context(host), scratch_index);
}

void Report(const SparsesepHost*, const char* op_name, const char* message) {
  MicroPrintf("%s: %s", op_name, message);
}

}  // namespace

SparsesepHost MakeSparsesepHost(TfLiteContext* context, TfLiteNode* node) {
  SparsesepHost host = {};
  host.context = context;
  host.node = node;
  host.get_tensor = GetTensor;
  host.allocate_persistent = AllocatePersistent;
  host.request_scratch = RequestScratch;
  host.get_scratch = GetScratch;
  host.report = Report;
  return host;
}

bool WritesConstant(TfLiteContext* context, TfLiteNode* node) {
  if (!HasTensor(node->outputs, 0)) return false;
  MicroContext* const micro = GetMicroContext(context);
  TfLiteTensor* const output = micro->AllocateTempOutputTensor(node, 0);
  if (output == nullptr) return false;
  const bool is_constant = output->allocation_type == kTfLiteMmapRo;
  micro->DeallocateTempTfLiteTensor(output);
  if (is_constant) MicroPrintf("sparsesep: an output is a constant tensor");
  return is_constant;
}

TFLMRegistration* Register_SPARSE_FULLY_CONNECTED() {
  return RegisterSparsesepOp<const void, sparsesep_fully_connected_init,
                             sparsesep_fully_connected_prepare,
                             sparsesep_fully_connected_eval>();
}

TFLMRegistration* Register_SEPARABLE_CONV_2D() {
  return RegisterSparsesepOp<const void, sparsesep_separable_conv_init,
                             sparsesep_separable_conv_prepare,
                             sparsesep_separable_conv_eval>();
}

TFLMRegistration* Register_SPARSE_CONV_2D() {
  return RegisterSparsesepOp<const void, sparsesep_sparse_conv_init,
                             sparsesep_sparse_conv_prepare,
                             sparsesep_sparse_conv_eval>();
}

}  // namespace micro
}  // namespace tflite
