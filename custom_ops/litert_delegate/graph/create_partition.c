#include <stdlib.h>
#include <string.h>

#include "graph/partition.h"

SparsesepPartitionTensor* sparsesep_find_tensor(
    const SparsesepPartition* partition, int index) {
  for (int32_t i = 0; i < partition->tensor_count; ++i) {
    if (partition->tensors[i].index == index) return &partition->tensors[i];
  }
  return NULL;
}

// Adds the tensors of an operation that are missing.
static void add_tensors(SparsesepPartition* partition,
                        const TfLiteContext* context,
                        const TfLiteIntArray* indices) {
  for (int i = 0; i < indices->size; ++i) {
    const int index = indices->data[i];
    const TfLiteTensor* tensor = sparsesep_tensor_of(context, indices, i);
    if (tensor == NULL || sparsesep_find_tensor(partition, index) != NULL) {
      continue;
    }
    const int32_t number = partition->tensor_count++;
    partition->tensors[number] = (SparsesepPartitionTensor){
        .index = index,
        .type = tensor->type,
        .constant = sparsesep_is_constant(tensor),
        .root = number,
        .slot = -1,
    };
    sparsesep_read_shape(tensor->dims, &partition->tensors[number].shape);
  }
}

static void mark_boundary(SparsesepPartition* partition,
                          const TfLiteDelegateParams* params) {
  for (int i = 0; i < params->input_tensors->size; ++i) {
    SparsesepPartitionTensor* tensor =
        sparsesep_find_tensor(partition, params->input_tensors->data[i]);
    if (tensor != NULL) tensor->input = !tensor->constant;
  }
  for (int i = 0; i < params->output_tensors->size; ++i) {
    SparsesepPartitionTensor* tensor =
        sparsesep_find_tensor(partition, params->output_tensors->data[i]);
    if (tensor != NULL) tensor->output = true;
  }
}

static bool read_operations(SparsesepPartition* partition,
                            const TfLiteContext* context,
                            const TfLiteIntArray* nodes) {
  size_t most_tensors = 1;  // calloc() of nothing may return NULL
  for (int i = 0; i < nodes->size; ++i) {
    TfLiteNode* node = NULL;
    TfLiteRegistration* registration = NULL;
    if (context->GetNodeAndRegistration((TfLiteContext*)(uintptr_t)context,
                                        nodes->data[i], &node,
                                        &registration) != kTfLiteOk ||
        !sparsesep_read_operation(node, registration,
                                  &partition->operations[i])) {
      return false;
    }
    most_tensors += (size_t)(node->inputs->size + node->outputs->size);
  }
  partition->operation_count = nodes->size;
  partition->tensors = calloc(most_tensors, sizeof(SparsesepPartitionTensor));
  partition->slot_bytes = calloc(most_tensors, sizeof(size_t));
  return partition->tensors != NULL && partition->slot_bytes != NULL;
}

SparsesepPartition* sparsesep_create_partition(
    const TfLiteContext* context, const TfLiteDelegateParams* params) {
  const TfLiteIntArray* nodes = params->nodes_to_replace;
  SparsesepPartition* partition = calloc(1, sizeof(*partition));
  if (partition == NULL) return NULL;
  partition->operations =
      calloc((size_t)nodes->size, sizeof(SparsesepOperation));
  if (partition->operations == NULL ||
      !read_operations(partition, context, nodes)) {
    sparsesep_free_partition(partition);
    return NULL;
  }
  for (int32_t i = 0; i < partition->operation_count; ++i) {
    add_tensors(partition, context, partition->operations[i].inputs);
    add_tensors(partition, context, partition->operations[i].outputs);
  }
  mark_boundary(partition, params);
  return partition;
}

void sparsesep_free_partition(SparsesepPartition* partition) {
  if (partition == NULL) return;
  free(partition->operations);
  free(partition->tensors);
  free(partition->slot_bytes);
  free(partition);
}
