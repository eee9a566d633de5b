#ifndef TENSORFLOW_LITE_MICRO_MICRO_CONTEXT_H_
#define TENSORFLOW_LITE_MICRO_MICRO_CONTEXT_H_

#include "tensorflow/lite/c/common.h"

namespace tflite {

class MicroContext {
 public:
  TfLiteTensor* AllocateTempOutputTensor(const TfLiteNode* node, int index);
  void DeallocateTempTfLiteTensor(TfLiteTensor*) {}

 private:
  TfLiteTensor temporary_ = {};
};

MicroContext* GetMicroContext(const TfLiteContext* context);

}  // namespace tflite

void* MicroContextAllocatePersistentBuffer(TfLiteContext* context,
                                           std::size_t bytes);
TfLiteStatus MicroContextRequestScratchBufferInArena(TfLiteContext* context,
                                                     std::size_t bytes,
                                                     int* index);
void* MicroContextGetScratchBuffer(TfLiteContext* context, int index);

#endif  // TENSORFLOW_LITE_MICRO_MICRO_CONTEXT_H_
