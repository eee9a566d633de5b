#include <string.h>

#include "graph/operation.h"
#include "op_names.h"

// Builtin operators by kind.
static const int32_t builtins[] = {
#define ROW(kind, builtin, check, kernels) kTfLiteBuiltin##builtin,
#include "graph/operators.inc"
#undef ROW
};

// The custom operators, which come first among the kinds.
static const char* const custom_names[] = {
    [SPARSESEP_SPARSE_FULLY_CONNECTED] = SPARSESEP_OP_SPARSE_FULLY_CONNECTED,
    [SPARSESEP_SEPARABLE_CONV_2D] = SPARSESEP_OP_SEPARABLE_CONV_2D,
    [SPARSESEP_SPARSE_CONV_2D] = SPARSESEP_OP_SPARSE_CONV_2D,
};

static bool find_custom_kind(const char* name, SparsesepOperationKind* kind) {
  if (name == NULL) return false;
  for (size_t i = 0; i < sizeof(custom_names) / sizeof(custom_names[0]); ++i) {
    if (strcmp(name, custom_names[i]) == 0) {
      *kind = (SparsesepOperationKind)i;
      return true;
    }
  }
  return false;
}

static bool find_kind(const TfLiteRegistration* registration,
                      SparsesepOperationKind* kind) {
  if (registration->builtin_code == kTfLiteBuiltinCustom) {
    return find_custom_kind(registration->custom_name, kind);
  }
  for (size_t i = 0; i < sizeof(builtins) / sizeof(builtins[0]); ++i) {
    if (builtins[i] == registration->builtin_code) {
      *kind = (SparsesepOperationKind)i;
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
