// TFLMRegistration, in TFLM trees of every age.
#ifndef SPARSESEP_TFLM_MICRO_REGISTRATION_H_
#define SPARSESEP_TFLM_MICRO_REGISTRATION_H_

#if __has_include("tensorflow/lite/micro/micro_common.h")
#include "tensorflow/lite/micro/micro_common.h"
#else
// Trees of before July 2023, such as those of the Arduino libraries.
#include "tensorflow/lite/c/common.h"

namespace tflite {
namespace micro {
using TFLMRegistration = TfLiteRegistration;
}  // namespace micro
}  // namespace tflite
#endif

#endif  // SPARSESEP_TFLM_MICRO_REGISTRATION_H_
