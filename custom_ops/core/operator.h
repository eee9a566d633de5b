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

// Input and output of an Eval.
typedef struct SparsesepActivations {
  SparsesepTensor input;
  SparsesepTensor output;
} SparsesepActivations;

static inline void sparsesep_get_activations(
    const SparsesepHost* host, SparsesepActivations* activations) {
  host->get_tensor(host, SPARSESEP_SLOT_INPUT, &activations->input);
  host->get_tensor(host, SPARSESEP_SLOT_OUTPUT, &activations->output);
}

// NULL where none was reserved.
static inline void* sparsesep_scratch(const SparsesepHost* host,
                                      int scratch_index) {
  return scratch_index < 0 ? NULL : host->get_scratch(host, scratch_index);
}

#endif  // SPARSESEP_OPERATOR_H_
