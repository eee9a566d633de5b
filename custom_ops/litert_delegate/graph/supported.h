// Parts of sparsesep_is_supported(), one per family of operators.
#ifndef SPARSESEP_DELEGATE_GRAPH_SUPPORTED_H_
#define SPARSESEP_DELEGATE_GRAPH_SUPPORTED_H_

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

// Rank 1 to SPARSESEP_MAX_RANK and nothing empty.
static inline bool sparsesep_has_shape(const TfLiteTensor* tensor) {
  if (tensor == NULL || tensor->dims == NULL || tensor->dims->size < 1 ||
      tensor->dims->size > SPARSESEP_MAX_RANK) {
    return false;
  }
  int64_t elements = 1;
  for (int i = 0; i < tensor->dims->size; ++i) {
    if (tensor->dims->data[i] < 1) return false;
    elements *= tensor->dims->data[i];
    if (elements > INT32_MAX / 4) return false;
  }
  return true;
}

// An activation that is not known before the model runs.
static inline bool sparsesep_is_activation(const TfLiteTensor* tensor) {
  return sparsesep_has_shape(tensor) && !sparsesep_is_constant(tensor) &&
         !tensor->is_variable;
}

// float32, or int8 with one scale.
static inline bool sparsesep_is_number(const TfLiteTensor* tensor) {
  return tensor->type == kTfLiteFloat32 ||
         (tensor->type == kTfLiteInt8 && tensor->params.scale > 0.0f);
}

static inline bool sparsesep_same_quantization(const TfLiteTensor* a,
                                               const TfLiteTensor* b) {
  return a->type == b->type && (a->type != kTfLiteInt8 ||
                                (a->params.scale == b->params.scale &&
                                 a->params.zero_point == b->params.zero_point));
}

#endif  // SPARSESEP_DELEGATE_GRAPH_SUPPORTED_H_
