#include "tflm/sparsesep_paging.h"

#include <cstddef>

#include "core/paged_fully_connected_op.h"
#include "tensorflow/lite/micro/kernels/kernel_util.h"
#include "tflm/micro_host.h"

namespace tflite {
namespace micro {
namespace {

// TFLM gives Init nothing of the application's.
const SparsesepExternalMemory* external_memory = nullptr;

TfLiteStatus ToTfLite(SparsesepStatus status) {
  return status == SPARSESEP_OK ? kTfLiteOk : kTfLiteError;
}

void* Init(TfLiteContext* context, const char* options, size_t options_bytes) {
  const SparsesepHost host = MakeSparsesepHost(context, nullptr);
  return sparsesep_paged_fully_connected_init(&host, options, options_bytes,
                                              external_memory);
}

TfLiteStatus Prepare(TfLiteContext* context, TfLiteNode* node) {
  const SparsesepHost host = MakeSparsesepHost(context, node);
  return ToTfLite(
      sparsesep_paged_fully_connected_prepare(&host, node->user_data));
}

TfLiteStatus Eval(TfLiteContext* context, TfLiteNode* node) {
  const SparsesepHost host = MakeSparsesepHost(context, node);
  return ToTfLite(sparsesep_paged_fully_connected_eval(&host, node->user_data));
}

}  // namespace

TFLMRegistration* Register_PAGED_FULLY_CONNECTED(
    const SparsesepExternalMemory* memory) {
  static TFLMRegistration registration = RegisterOp(Init, Prepare, Eval);
  external_memory = memory;
  return &registration;
}

}  // namespace micro
}  // namespace tflite
