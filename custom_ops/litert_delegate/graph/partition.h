// A part of a model that one backend runs: operators in order, the tensors
// between them, and where those live.
#ifndef SPARSESEP_DELEGATE_GRAPH_PARTITION_H_
#define SPARSESEP_DELEGATE_GRAPH_PARTITION_H_

#include "graph/operation.h"

typedef struct SparsesepPartitionTensor {
  int32_t index;  // among the runtime's tensors
  TfLiteType type;
  SparsesepShape shape;
  bool constant;
  bool input;   // written by the runtime
  bool output;  // read by the runtime
  int32_t
      root;  // number of the tensor whose memory this one shares, or its own
  int32_t slot;  // of the root: where it lives; -1 until planned, and for
                 // constants and tensors that the runtime keeps
} SparsesepPartitionTensor;

typedef struct SparsesepPartition {
  int32_t operation_count;
  SparsesepOperation* operations;
  int32_t tensor_count;
  SparsesepPartitionTensor* tensors;
  int32_t slot_count;
  size_t* slot_bytes;
} SparsesepPartition;

// NULL without memory. The runtime's arrays must outlive the partition.
SparsesepPartition* sparsesep_create_partition(
    const TfLiteContext* context, const TfLiteDelegateParams* params);

void sparsesep_free_partition(SparsesepPartition* partition);

// Computes all shapes from the inputs' present ones, resizes the outputs in
// the runtime, and gives tensors with disjoint lifetimes the same slot.
// `keep_boundary`: inputs and outputs stay in the runtime's memory; else they
// get slots, too, and RESHAPE shares its input's. False where shapes do not
// fit, reported to the runtime, or without memory.
bool sparsesep_plan_partition(SparsesepPartition* partition,
                              TfLiteContext* context, bool keep_boundary);

// The partition's tensor of a runtime's index; NULL where it has none.
SparsesepPartitionTensor* sparsesep_find_tensor(
    const SparsesepPartition* partition, int index);

// An operation's input or output, NULL where absent.
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

// Computes an operation's output shape from its inputs' valid shapes. `shape`
// holds the model's or the last one. False, with `shape` as it was, where they
// do not fit or the result is not valid.
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
