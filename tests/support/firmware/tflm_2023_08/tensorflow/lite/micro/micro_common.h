#ifndef TENSORFLOW_LITE_MICRO_MICRO_COMMON_H_
#define TENSORFLOW_LITE_MICRO_MICRO_COMMON_H_

#include "tensorflow/lite/c/common.h"

using TFLMRegistration = TfLiteRegistration;

#endif  // TENSORFLOW_LITE_MICRO_MICRO_COMMON_H_
