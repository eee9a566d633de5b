// The four services that the op core asks of its host, and how it reports.
//
// A port (TFLM tree, tflite-micro wheel, LiteRT delegate, ctypes) fills in a
// SparsesepHost per call; the op core knows nothing else of its surroundings.
#ifndef SPARSESEP_PORT_H_
#define SPARSESEP_PORT_H_

#include <stddef.h>
#include <stdint.h>

#include "sparsesep/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum SparsesepTensorType {
  SPARSESEP_TENSOR_OTHER = 0,
  SPARSESEP_TENSOR_INT8,
  SPARSESEP_TENSOR_UINT8,
  SPARSESEP_TENSOR_FLOAT32,
} SparsesepTensorType;

// The tensors of an operator by meaning.
typedef enum SparsesepTensorSlot {
  SPARSESEP_SLOT_INPUT = 0,     // operator input 0
  SPARSESEP_SLOT_WEIGHTS = 1,   // operator input 1: the packed blob, constant
  SPARSESEP_SLOT_OUTPUT = 2,    // operator output 0
  SPARSESEP_SLOT_RESIDUAL = 3,  // operator input 2, where there is one
  SPARSESEP_SLOTS = 4,
} SparsesepTensorSlot;

// The position of a slot among the inputs of the operator.
static inline int sparsesep_input_of_slot(SparsesepTensorSlot slot) {
  return slot == SPARSESEP_SLOT_RESIDUAL ? 2 : (int)slot;
}

typedef struct SparsesepTensor {
  void* data;  // NULL in Prepare where the host has not placed the tensor yet
  const int32_t* dims;
  int32_t rank;
  SparsesepTensorType type;
} SparsesepTensor;

typedef struct SparsesepHost SparsesepHost;
struct SparsesepHost {
  void* context;  // the host's own, untouched by the core
  void* node;

  // Fills `tensor`; SPARSESEP_BAD_TENSOR where the operator has none there.
  SparsesepStatus (*get_tensor)(const SparsesepHost* host,
                                SparsesepTensorSlot slot,
                                SparsesepTensor* tensor);
  // Memory that lives as long as the operator, or NULL. Init only.
  void* (*allocate_persistent)(const SparsesepHost* host, size_t bytes);
  // Reserves memory for the time of one Eval. Prepare only.
  SparsesepStatus (*request_scratch)(const SparsesepHost* host, size_t bytes,
                                     int* scratch_index);
  // That memory, 16-byte aligned. Eval only.
  void* (*get_scratch)(const SparsesepHost* host, int scratch_index);
  // Says in one line why the core refuses. May do nothing.
  void (*report)(const SparsesepHost* host, const char* op_name,
                 const char* message);
};

#ifdef __cplusplus
}
#endif

#endif  // SPARSESEP_PORT_H_
