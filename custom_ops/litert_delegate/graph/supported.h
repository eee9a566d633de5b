// Parts of sparsesep_is_supported(), one per family of operators.
#ifndef SPARSESEP_DELEGATE_GRAPH_SUPPORTED_H_
#define SPARSESEP_DELEGATE_GRAPH_SUPPORTED_H_

#include <float.h>

#include "graph/operation.h"

typedef bool (*SparsesepIsSupported)(const TfLiteContext* context,
                                     const SparsesepOperation* operation);

bool sparsesep_supports_blob_layer(const TfLiteContext* context,
                                   const SparsesepOperation* operation);
bool sparsesep_supports_dense_layer(const TfLiteContext* context,
                                    const SparsesepOperation* operation);
bool sparsesep_supports_pool(const TfLiteContext* context,
                             const SparsesepOperation* operation);
bool sparsesep_supports_arithmetic(const TfLiteContext* context,
                                   const SparsesepOperation* operation);
bool sparsesep_supports_function(const TfLiteContext* context,
                                 const SparsesepOperation* operation);
bool sparsesep_supports_movement(const TfLiteContext* context,
                                 const SparsesepOperation* operation);

static inline const TfLiteTensor* sparsesep_input(
    const TfLiteContext* context, const SparsesepOperation* operation,
    int position) {
  return sparsesep_tensor_of(context, operation->inputs, position);
}

static inline const TfLiteTensor* sparsesep_output(
    const TfLiteContext* context, const SparsesepOperation* operation) {
  return sparsesep_tensor_of(context, operation->outputs, 0);
}

static inline bool sparsesep_has_shape(const TfLiteTensor* tensor) {
  SparsesepShape shape;
  return tensor != NULL && sparsesep_read_shape(tensor->dims, &shape);
}

// Checks for an activation whose values are known only at run time.
static inline bool sparsesep_is_activation(const TfLiteTensor* tensor) {
  return sparsesep_has_shape(tensor) && !sparsesep_is_read_only(tensor) &&
         !tensor->is_variable;
}

// Checks for float32, or int8 with one scale, finite, and a zero point in
// range.
static inline bool sparsesep_is_number(const TfLiteTensor* tensor) {
  return tensor->type == kTfLiteFloat32 ||
         (tensor->type == kTfLiteInt8 && tensor->params.scale > 0.0f &&
          tensor->params.scale <= FLT_MAX &&
          tensor->params.zero_point >= INT8_MIN &&
          tensor->params.zero_point <= INT8_MAX);
}

static inline bool sparsesep_same_quantization(const TfLiteTensor* a,
                                               const TfLiteTensor* b) {
  return a->type == b->type && (a->type != kTfLiteInt8 ||
                                (a->params.scale == b->params.scale &&
                                 a->params.zero_point == b->params.zero_point));
}

#endif  // SPARSESEP_DELEGATE_GRAPH_SUPPORTED_H_
