// sparsesep's operators for a TensorFlow Lite Micro source tree.
//
//   tflite::MicroMutableOpResolver<N> resolver;
//   resolver.AddReshape();
//   tflite::AddSparseFullyConnected(resolver);
//
// Add to the build: this folder's sparsesep_ops.cc, custom_ops/core/*.c and
// kernels/**/*.c, with kernels, kernels/include and custom_ops as include
// directories.
#ifndef SPARSESEP_TFLM_SPARSESEP_OPS_H_
#define SPARSESEP_TFLM_SPARSESEP_OPS_H_

#include "op_names.h"
#include "tflm/micro_registration.h"

namespace tflite {
// TFLM keeps its types in the global namespace or in tflite::micro, depending
// on its age. From in here both are found without naming a namespace.
namespace micro {

TFLMRegistration* Register_SPARSE_FULLY_CONNECTED();
TFLMRegistration* Register_SEPARABLE_CONV_2D();
TFLMRegistration* Register_SPARSE_CONV_2D();

// Each adds one operator to a MicroMutableOpResolver; what is not added is not
// linked.
template <typename Resolver>
TfLiteStatus AddSparseFullyConnected(Resolver& resolver) {
  return resolver.AddCustom(SPARSESEP_OP_SPARSE_FULLY_CONNECTED,
                            Register_SPARSE_FULLY_CONNECTED());
}

template <typename Resolver>
TfLiteStatus AddSeparableConv2D(Resolver& resolver) {
  return resolver.AddCustom(SPARSESEP_OP_SEPARABLE_CONV_2D,
                            Register_SEPARABLE_CONV_2D());
}

template <typename Resolver>
TfLiteStatus AddSparseConv2D(Resolver& resolver) {
  return resolver.AddCustom(SPARSESEP_OP_SPARSE_CONV_2D,
                            Register_SPARSE_CONV_2D());
}

// Adds all; the resolver must have room for three operators.
template <typename Resolver>
TfLiteStatus AddSparseSepOps(Resolver& resolver) {
  TfLiteStatus status = AddSparseFullyConnected(resolver);
  if (status == kTfLiteOk) status = AddSeparableConv2D(resolver);
  return status == kTfLiteOk ? AddSparseConv2D(resolver) : status;
}

}  // namespace micro

using micro::AddSeparableConv2D;
using micro::AddSparseConv2D;
using micro::AddSparseFullyConnected;
using micro::AddSparseSepOps;
using micro::Register_SEPARABLE_CONV_2D;
using micro::Register_SPARSE_CONV_2D;
using micro::Register_SPARSE_FULLY_CONNECTED;

}  // namespace tflite

#endif  // SPARSESEP_TFLM_SPARSESEP_OPS_H_
