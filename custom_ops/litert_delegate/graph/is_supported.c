#include "graph/supported.h"

static const SparsesepIsSupported checks[] = {
#define ROW(kind, builtin, check, kernels) sparsesep_supports_##check,
#include "graph/operators.inc"
#undef ROW
};

// TFLite's own sparsity stores fewer values than the shape says; a constant
// without it must have them all.
static bool is_dense(const TfLiteTensor* tensor) {
  if (tensor->sparsity != NULL) return false;
  if (!sparsesep_is_constant(tensor)) return true;
  SparsesepShape shape;
  return sparsesep_read_shape(tensor->dims, &shape) &&
         (size_t)sparsesep_element_count(&shape) *
                 sparsesep_type_bytes(tensor->type) <=
             tensor->bytes;
}

// Index -1 stands for an optional tensor that is absent.
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
