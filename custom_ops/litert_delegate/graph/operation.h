// One operator of a model, as the backends see it.
#ifndef SPARSESEP_DELEGATE_GRAPH_OPERATION_H_
#define SPARSESEP_DELEGATE_GRAPH_OPERATION_H_

#include "graph/shape.h"

typedef enum SparsesepOperationKind {
#define ROW(kind, builtin, check, kernels) SPARSESEP_##kind,
#include "graph/operators.inc"
#undef ROW
} SparsesepOperationKind;

// The operators of this project come first.
static inline bool sparsesep_is_custom(SparsesepOperationKind kind) {
  return kind <= SPARSESEP_SPARSE_CONV_2D;
}

// Points to memory that the runtime keeps as long as the model.
typedef struct SparsesepOperation {
  SparsesepOperationKind kind;
  const TfLiteIntArray* inputs;
  const TfLiteIntArray* outputs;
  const void* parameters;  // of a builtin operator
  const void* options;     // custom_options
  size_t options_bytes;
} SparsesepOperation;

// Reads a node. False for operators of other kinds.
bool sparsesep_read_operation(const TfLiteNode* node,
                              const TfLiteRegistration* registration,
                              SparsesepOperation* operation);

// Checks that the delegate computes the operator as TFLM does: tensor types,
// quantization, constants, parameters. All others stay with the runtime.
bool sparsesep_is_supported(const TfLiteContext* context,
                            const SparsesepOperation* operation);

// Returns the tensor of an input or output; NULL for an absent optional one.
static inline const TfLiteTensor* sparsesep_tensor_of(
    const TfLiteContext* context, const TfLiteIntArray* indices, int position) {
  if (indices == NULL || position >= indices->size) return NULL;
  const int index = indices->data[position];
  return index < 0 || (size_t)index >= context->tensors_size
             ? NULL
             : &context->tensors[index];
}

static inline bool sparsesep_is_read_only(const TfLiteTensor* tensor) {
  return tensor->allocation_type == kTfLiteMmapRo ||
         tensor->allocation_type == kTfLitePersistentRo;
}

static inline bool sparsesep_is_constant(const TfLiteTensor* tensor) {
  return sparsesep_is_read_only(tensor) && tensor->data != NULL;
}

#endif  // SPARSESEP_DELEGATE_GRAPH_OPERATION_H_
