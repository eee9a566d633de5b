// What the glue of all operators for a TFLM source tree shares.
#ifndef SPARSESEP_TFLM_MICRO_HOST_H_
#define SPARSESEP_TFLM_MICRO_HOST_H_

#include <cstddef>

#include "port.h"
#include "tensorflow/lite/micro/kernels/kernel_util.h"
#include "tflm/micro_registration.h"

namespace tflite {
namespace micro {

// The op core's host for one call; no node in Init.
SparsesepHost MakeSparsesepHost(TfLiteContext* context, TfLiteNode* node);

// Whether the node's output is part of the model: it would overwrite what has
// been validated. Says so.
bool WritesConstant(TfLiteContext* context, TfLiteNode* node);

// One operator of core/ as a TFLM kernel: its three functions. EvalData is void
// or const void.
template <typename EvalData,
          void* (*kInit)(const SparsesepHost*, const void*, size_t),
          SparsesepStatus (*kPrepare)(const SparsesepHost*, void*),
          SparsesepStatus (*kEval)(const SparsesepHost*, EvalData*)>
TFLMRegistration* RegisterSparsesepOp() {
  static TFLMRegistration registration = RegisterOp(
      [](TfLiteContext* context, const char* options, size_t options_bytes) {
        const SparsesepHost host = MakeSparsesepHost(context, nullptr);
        return kInit(&host, options, options_bytes);
      },
      [](TfLiteContext* context, TfLiteNode* node) {
        if (WritesConstant(context, node)) return kTfLiteError;
        const SparsesepHost host = MakeSparsesepHost(context, node);
        return kPrepare(&host, node->user_data) == SPARSESEP_OK ? kTfLiteOk
                                                                : kTfLiteError;
      },
      [](TfLiteContext* context, TfLiteNode* node) {
        const SparsesepHost host = MakeSparsesepHost(context, node);
        return kEval(&host, node->user_data) == SPARSESEP_OK ? kTfLiteOk
                                                             : kTfLiteError;
      });
  return &registration;
}

}  // namespace micro
}  // namespace tflite

#endif  // SPARSESEP_TFLM_MICRO_HOST_H_
