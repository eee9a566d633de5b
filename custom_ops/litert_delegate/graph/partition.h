// A part of a model that one backend runs: operators in order, the tensors
// between them, and the buffers of those.
#ifndef SPARSESEP_DELEGATE_GRAPH_PARTITION_H_
#define SPARSESEP_DELEGATE_GRAPH_PARTITION_H_

#include "graph/operation.h"

typedef struct SparsesepPartitionTensor {
  int32_t index;  // among the runtime's tensors
  TfLiteType type;
  SparsesepShape shape;
  bool constant;
  bool input;    // written by the runtime
  bool output;   // read by the runtime
  int32_t root;  // number of the tensor that owns the memory; often its own
  int32_t slot;  // of the root; -1 before planning, for constants, and for
                 // tensors in the runtime's memory
} SparsesepPartitionTensor;

typedef struct SparsesepPartition {
  int32_t operation_count;
  SparsesepOperation* operations;
  int32_t tensor_count;
  SparsesepPartitionTensor* tensors;
  int32_t slot_count;
  size_t* slot_bytes;
} SparsesepPartition;

// NULL if memory runs out. The runtime's arrays must outlive the partition.
SparsesepPartition* sparsesep_create_partition(
    const TfLiteContext* context, const TfLiteDelegateParams* params);

void sparsesep_free_partition(SparsesepPartition* partition);

// Computes all shapes from the current ones of the inputs, resizes the
// outputs in the runtime, and assigns one slot to tensors with disjoint
// lifetimes. `keep_boundary`: inputs and outputs stay in the runtime's
// memory; otherwise they get slots as well, and RESHAPE shares its input's.
// False, reported to the runtime, if shapes do not fit or memory runs out.
bool sparsesep_plan_partition(SparsesepPartition* partition,
                              TfLiteContext* context, bool keep_boundary);

// Returns the tensor with a runtime's index; NULL if the partition has none.
SparsesepPartitionTensor* sparsesep_find_tensor(
    const SparsesepPartition* partition, int index);

// Return an operation's input or output; NULL if absent.
static inline const SparsesepPartitionTensor* sparsesep_partition_input(
    const SparsesepPartition* partition, const SparsesepOperation* operation,
    int position) {
  if (position >= operation->inputs->size) return NULL;
  return sparsesep_find_tensor(partition, operation->inputs->data[position]);
}

static inline const SparsesepPartitionTensor* sparsesep_partition_output(
    const SparsesepPartition* partition, const SparsesepOperation* operation) {
  return sparsesep_find_tensor(partition, operation->outputs->data[0]);
}

// Computes an operation's output shape from its inputs' valid shapes.
// `shape` holds the previous one. False, with `shape` unchanged, if the
// inputs do not fit or the result is not valid.
bool sparsesep_infer_shape(const TfLiteContext* context,
                           const SparsesepPartition* partition,
                           const SparsesepOperation* operation,
                           SparsesepShape* shape);

static inline size_t sparsesep_tensor_bytes(
    const SparsesepPartitionTensor* tensor) {
  return (size_t)sparsesep_element_count(&tensor->shape) *
         sparsesep_type_bytes(tensor->type);
}

#endif  // SPARSESEP_DELEGATE_GRAPH_PARTITION_H_
