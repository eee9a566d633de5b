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

bool sparsesep_is_supported(const TfLiteContext* context,
                            const SparsesepOperation* operation) {
  return operation->inputs != NULL && operation->inputs->size > 0 &&
         operation->outputs != NULL && operation->outputs->size == 1 &&
         sparsesep_has_shape(sparsesep_output(context, operation)) &&
         checks[operation->kind](context, operation);
}
