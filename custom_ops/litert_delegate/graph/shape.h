// Shapes and sizes. The delegate computes on valid shapes only: their
// element and byte counts fit into an int32_t.
#ifndef SPARSESEP_DELEGATE_GRAPH_SHAPE_H_
#define SPARSESEP_DELEGATE_GRAPH_SHAPE_H_

#include <string.h>

#include "tflite_abi.h"

#define SPARSESEP_MAX_RANK 6
#define SPARSESEP_MAX_ELEMENTS (INT32_MAX / 4)

typedef struct SparsesepShape {
  int32_t rank;
  int32_t dims[SPARSESEP_MAX_RANK];
} SparsesepShape;

// Checks for 1 to SPARSESEP_MAX_RANK dimensions of at least 1 and at most
// SPARSESEP_MAX_ELEMENTS elements.
static inline bool sparsesep_is_valid_shape(const SparsesepShape* shape) {
  if (shape->rank < 1 || shape->rank > SPARSESEP_MAX_RANK) return false;
  int64_t elements = 1;
  for (int32_t i = 0; i < shape->rank; ++i) {
    if (shape->dims[i] < 1) return false;
    elements *= shape->dims[i];
    if (elements > SPARSESEP_MAX_ELEMENTS) return false;
  }
  return true;
}

// Copies a runtime's dimensions. False if the shape is not valid; `shape`
// then has rank 0.
static inline bool sparsesep_read_shape(const TfLiteIntArray* dims,
                                        SparsesepShape* shape) {
  *shape = (SparsesepShape){0, {0}};
  if (dims == NULL || dims->size < 1 || dims->size > SPARSESEP_MAX_RANK) {
    return false;
  }
  shape->rank = dims->size;
  memcpy(shape->dims, dims->data, (size_t)dims->size * sizeof(int32_t));
  if (sparsesep_is_valid_shape(shape)) return true;
  shape->rank = 0;
  return false;
}

// Counts the elements of a valid shape.
static inline int64_t sparsesep_element_count(const SparsesepShape* shape) {
  int64_t count = 1;
  for (int32_t i = 0; i < shape->rank; ++i) count *= shape->dims[i];
  return count;
}

// Stores a size of 1 to SPARSESEP_MAX_ELEMENTS; false for others.
static inline bool sparsesep_set_size(int64_t size, int32_t* dim) {
  if (size < 1 || size > SPARSESEP_MAX_ELEMENTS) return false;
  *dim = (int32_t)size;
  return true;
}

static inline size_t sparsesep_type_bytes(TfLiteType type) {
  return type == kTfLiteInt8 || type == kTfLiteUInt8 ? 1 : 4;
}

#endif  // SPARSESEP_DELEGATE_GRAPH_SHAPE_H_
