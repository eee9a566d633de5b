// What the glue of all operators for a TFLM source tree shares.
#ifndef SPARSESEP_TFLM_MICRO_HOST_H_
#define SPARSESEP_TFLM_MICRO_HOST_H_

#include "port.h"
#include "tensorflow/lite/micro/micro_common.h"

namespace tflite {
namespace micro {

// The op core's host for one call; no node in Init.
SparsesepHost MakeSparsesepHost(TfLiteContext* context, TfLiteNode* node);

}  // namespace micro
}  // namespace tflite

#endif  // SPARSESEP_TFLM_MICRO_HOST_H_
