#include "graph/supported.h"

static const SparsesepIsSupported checks[SPARSESEP_OPERATION_KINDS] = {
    [SPARSESEP_SPARSE_FULLY_CONNECTED] = sparsesep_supports_blob_layer,
    [SPARSESEP_SEPARABLE_CONV_2D] = sparsesep_supports_blob_layer,
    [SPARSESEP_FULLY_CONNECTED] = sparsesep_supports_dense_layer,
    [SPARSESEP_CONV_2D] = sparsesep_supports_dense_layer,
    [SPARSESEP_DEPTHWISE_CONV_2D] = sparsesep_supports_dense_layer,
    [SPARSESEP_AVERAGE_POOL_2D] = sparsesep_supports_pool,
    [SPARSESEP_MAX_POOL_2D] = sparsesep_supports_pool,
    [SPARSESEP_ADD] = sparsesep_supports_arithmetic,
    [SPARSESEP_MUL] = sparsesep_supports_arithmetic,
    [SPARSESEP_RELU] = sparsesep_supports_function,
    [SPARSESEP_RELU6] = sparsesep_supports_function,
    [SPARSESEP_RELU_N1_TO_1] = sparsesep_supports_function,
    [SPARSESEP_RELU_0_TO_1] = sparsesep_supports_function,
    [SPARSESEP_RESHAPE] = sparsesep_supports_movement,
    [SPARSESEP_SOFTMAX] = sparsesep_supports_function,
    [SPARSESEP_LOGISTIC] = sparsesep_supports_function,
    [SPARSESEP_QUANTIZE] = sparsesep_supports_function,
    [SPARSESEP_DEQUANTIZE] = sparsesep_supports_function,
    [SPARSESEP_PAD] = sparsesep_supports_movement,
    [SPARSESEP_CONCATENATION] = sparsesep_supports_movement,
};

// TFLite's own sparsity stores fewer values than the shape says. A constant
// without it has all of them.
static bool is_dense(const TfLiteTensor* tensor) {
  if (tensor->sparsity != NULL) return false;
  if (!sparsesep_is_constant(tensor)) return true;
  SparsesepShape shape;
  return sparsesep_read_shape(tensor->dims, &shape) &&
         (size_t)sparsesep_element_count(&shape) *
                 sparsesep_type_bytes(tensor->type) <=
             tensor->bytes;
}

// -1 is an optional tensor that is absent.
static bool are_dense(const TfLiteContext* context,
                      const TfLiteIntArray* indices) {
  for (int i = 0; i < indices->size; ++i) {
    const TfLiteTensor* tensor = sparsesep_tensor_of(context, indices, i);
    if (tensor == NULL ? indices->data[i] != -1 : !is_dense(tensor)) {
      return false;
    }
  }
  return true;
}

bool sparsesep_is_supported(const TfLiteContext* context,
                            const SparsesepOperation* operation) {
  return operation->inputs != NULL && operation->inputs->size > 0 &&
         operation->outputs != NULL && operation->outputs->size == 1 &&
         are_dense(context, operation->inputs) &&
         are_dense(context, operation->outputs) &&
         sparsesep_is_activation(sparsesep_output(context, operation)) &&
         checks[operation->kind](context, operation);
}
