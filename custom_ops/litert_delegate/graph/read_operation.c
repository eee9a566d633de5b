#include <string.h>

#include "graph/operation.h"
#include "op_names.h"

static const struct {
  int32_t builtin_code;
  SparsesepOperationKind kind;
} builtins[] = {
    {kTfLiteBuiltinFullyConnected, SPARSESEP_FULLY_CONNECTED},
    {kTfLiteBuiltinConv2d, SPARSESEP_CONV_2D},
    {kTfLiteBuiltinDepthwiseConv2d, SPARSESEP_DEPTHWISE_CONV_2D},
    {kTfLiteBuiltinAveragePool2d, SPARSESEP_AVERAGE_POOL_2D},
    {kTfLiteBuiltinMaxPool2d, SPARSESEP_MAX_POOL_2D},
    {kTfLiteBuiltinAdd, SPARSESEP_ADD},
    {kTfLiteBuiltinMul, SPARSESEP_MUL},
    {kTfLiteBuiltinRelu, SPARSESEP_RELU},
    {kTfLiteBuiltinRelu6, SPARSESEP_RELU6},
    {kTfLiteBuiltinReluN1To1, SPARSESEP_RELU_N1_TO_1},
    {kTfLiteBuiltinRelu0To1, SPARSESEP_RELU_0_TO_1},
    {kTfLiteBuiltinReshape, SPARSESEP_RESHAPE},
    {kTfLiteBuiltinSoftmax, SPARSESEP_SOFTMAX},
    {kTfLiteBuiltinLogistic, SPARSESEP_LOGISTIC},
    {kTfLiteBuiltinQuantize, SPARSESEP_QUANTIZE},
    {kTfLiteBuiltinDequantize, SPARSESEP_DEQUANTIZE},
    {kTfLiteBuiltinPad, SPARSESEP_PAD},
    {kTfLiteBuiltinConcatenation, SPARSESEP_CONCATENATION},
};

static bool find_kind(const TfLiteRegistration* registration,
                      SparsesepOperationKind* kind) {
  if (registration->builtin_code == kTfLiteBuiltinCustom) {
    const char* name = registration->custom_name;
    if (name == NULL) return false;
    if (strcmp(name, SPARSESEP_OP_SPARSE_FULLY_CONNECTED) == 0) {
      *kind = SPARSESEP_SPARSE_FULLY_CONNECTED;
      return true;
    }
    *kind = SPARSESEP_SEPARABLE_CONV_2D;
    return strcmp(name, SPARSESEP_OP_SEPARABLE_CONV_2D) == 0;
  }
  for (size_t i = 0; i < sizeof(builtins) / sizeof(builtins[0]); ++i) {
    if (builtins[i].builtin_code == registration->builtin_code) {
      *kind = builtins[i].kind;
      return true;
    }
  }
  return false;
}

bool sparsesep_read_operation(const TfLiteNode* node,
                              const TfLiteRegistration* registration,
                              SparsesepOperation* operation) {
  memset(operation, 0, sizeof(*operation));
  if (!find_kind(registration, &operation->kind)) return false;
  operation->inputs = node->inputs;
  operation->outputs = node->outputs;
  operation->parameters = node->builtin_data;
  operation->options = node->custom_initial_data;
  operation->options_bytes = node->custom_initial_data_size > 0
                                 ? (size_t)node->custom_initial_data_size
                                 : 0;
  return true;
}
