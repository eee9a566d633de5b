// One operator of a model as the delegate's backends see it.
#ifndef SPARSESEP_DELEGATE_GRAPH_OPERATION_H_
#define SPARSESEP_DELEGATE_GRAPH_OPERATION_H_

#include "tflite_abi.h"

#define SPARSESEP_MAX_RANK 6

typedef enum SparsesepOperationKind {
  SPARSESEP_SPARSE_FULLY_CONNECTED,
  SPARSESEP_SEPARABLE_CONV_2D,
  SPARSESEP_FULLY_CONNECTED,
  SPARSESEP_CONV_2D,
  SPARSESEP_DEPTHWISE_CONV_2D,
  SPARSESEP_AVERAGE_POOL_2D,
  SPARSESEP_MAX_POOL_2D,
  SPARSESEP_ADD,
  SPARSESEP_MUL,
  SPARSESEP_RELU,
  SPARSESEP_RELU6,
  SPARSESEP_RELU_N1_TO_1,
  SPARSESEP_RELU_0_TO_1,
  SPARSESEP_RESHAPE,
  SPARSESEP_SOFTMAX,
  SPARSESEP_LOGISTIC,
  SPARSESEP_QUANTIZE,
  SPARSESEP_DEQUANTIZE,
  SPARSESEP_PAD,
  SPARSESEP_CONCATENATION,
  SPARSESEP_OPERATION_KINDS,
} SparsesepOperationKind;

// Points into memory that the runtime keeps as long as the model.
typedef struct SparsesepOperation {
  SparsesepOperationKind kind;
  const TfLiteIntArray* inputs;
  const TfLiteIntArray* outputs;
  const void* parameters;  // of a builtin operator
  const void* options;     // custom_options
  size_t options_bytes;
} SparsesepOperation;

typedef struct SparsesepShape {
  int32_t rank;
  int32_t dims[SPARSESEP_MAX_RANK];
} SparsesepShape;

static inline int64_t sparsesep_element_count(const SparsesepShape* shape) {
  int64_t count = 1;
  for (int32_t i = 0; i < shape->rank; ++i) count *= shape->dims[i];
  return count;
}

static inline bool sparsesep_same_shape(const SparsesepShape* a,
                                        const SparsesepShape* b) {
  if (a->rank != b->rank) return false;
  for (int32_t i = 0; i < a->rank; ++i) {
    if (a->dims[i] != b->dims[i]) return false;
  }
  return true;
}

// Reads a node. False for operators of no kind.
bool sparsesep_read_operation(const TfLiteNode* node,
                              const TfLiteRegistration* registration,
                              SparsesepOperation* operation);

// Whether the operator is one that the delegate computes as TFLM does: tensor
// types, quantisation, constants, parameters. Anything else stays with the
// runtime.
bool sparsesep_is_supported(const TfLiteContext* context,
                            const SparsesepOperation* operation);

// Tensor of an input or output; NULL for an optional one that is absent.
static inline const TfLiteTensor* sparsesep_tensor_of(
    const TfLiteContext* context, const TfLiteIntArray* indices, int position) {
  if (indices == NULL || position >= indices->size) return NULL;
  const int index = indices->data[position];
  return index < 0 || (size_t)index >= context->tensors_size
             ? NULL
             : &context->tensors[index];
}

static inline bool sparsesep_is_constant(const TfLiteTensor* tensor) {
  return (tensor->allocation_type == kTfLiteMmapRo ||
          tensor->allocation_type == kTfLitePersistentRo) &&
         tensor->data != NULL;
}

#endif  // SPARSESEP_DELEGATE_GRAPH_OPERATION_H_
