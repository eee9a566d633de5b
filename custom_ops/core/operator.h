// What init, prepare and eval of every operator do alike.
#ifndef SPARSESEP_OPERATOR_H_
#define SPARSESEP_OPERATOR_H_

#include "port.h"

// Zeroed memory for the operator's data, or NULL.
void* sparsesep_allocate_op(const SparsesepHost* host, size_t bytes);

// The blob of the operator as it lies in memory, `bytes` long.
SparsesepStatus sparsesep_get_blob(const SparsesepHost* host, const void** blob,
                                   size_t* bytes);

// Reserves scratch for Eval; -1 is the index of no scratch.
SparsesepStatus sparsesep_reserve_scratch(const SparsesepHost* host,
                                          uint64_t bytes, int* scratch_index);

// Returns `status`, and says why unless it is OK.
SparsesepStatus sparsesep_report(const SparsesepHost* host, const char* op_name,
                                 SparsesepStatus status);

// What Eval works on.
typedef struct SparsesepEvalMemory {
  const void* input;
  const void* blob;
  void* output;
  void* scratch;  // NULL where none was reserved
} SparsesepEvalMemory;

static inline SparsesepEvalMemory sparsesep_eval_memory(
    const SparsesepHost* host, int scratch_index) {
  SparsesepTensor input;
  SparsesepTensor blob;
  SparsesepTensor output;
  host->get_tensor(host, SPARSESEP_SLOT_INPUT, &input);
  host->get_tensor(host, SPARSESEP_SLOT_WEIGHTS, &blob);
  host->get_tensor(host, SPARSESEP_SLOT_OUTPUT, &output);
  return (SparsesepEvalMemory){
      input.data, blob.data, output.data,
      scratch_index < 0 ? NULL : host->get_scratch(host, scratch_index)};
}

#endif  // SPARSESEP_OPERATOR_H_
