#include <stdlib.h>
#include <string.h>

#include "graph/partition.h"
#include "message.h"

static bool resize_output(TfLiteContext* context,
                          const SparsesepPartitionTensor* tensor) {
  TfLiteTensor* output = &context->tensors[tensor->index];
  const size_t dims_bytes = (size_t)tensor->shape.rank * sizeof(int32_t);
  if (output->dims != NULL && output->dims->size == tensor->shape.rank &&
      memcmp(output->dims->data, tensor->shape.dims, dims_bytes) == 0) {
    return true;
  }
  TfLiteIntArray* dims = malloc(sizeof(TfLiteIntArray) + dims_bytes);
  if (dims == NULL) {
    sparsesep_out_of_memory(context);
    return false;
  }
  dims->size = tensor->shape.rank;
  memcpy(dims->data, tensor->shape.dims, dims_bytes);
  return context->ResizeTensor(context, output, dims) == kTfLiteOk;
}

static bool read_input_shapes(SparsesepPartition* partition,
                              TfLiteContext* context) {
  for (int32_t i = 0; i < partition->tensor_count; ++i) {
    SparsesepPartitionTensor* tensor = &partition->tensors[i];
    if (!tensor->input ||
        sparsesep_read_shape(context->tensors[tensor->index].dims,
                             &tensor->shape)) {
      continue;
    }
    context->ReportError(context,
                         "sparsesep delegate: the shape of tensor %d is not "
                         "supported: expected 1 to %d dimensions of at least "
                         "1, at most %d elements",
                         tensor->index, SPARSESEP_MAX_RANK,
                         SPARSESEP_MAX_ELEMENTS);
    return false;
  }
  return true;
}

static bool infer_shapes(SparsesepPartition* partition,
                         TfLiteContext* context) {
  if (!read_input_shapes(partition, context)) return false;
  for (int32_t i = 0; i < partition->operation_count; ++i) {
    const SparsesepOperation* operation = &partition->operations[i];
    SparsesepPartitionTensor* output =
        sparsesep_find_tensor(partition, operation->outputs->data[0]);
    if (!sparsesep_infer_shape(context, partition, operation, &output->shape)) {
      context->ReportError(
          context, "sparsesep delegate: the shapes of operator %d do not fit",
          i);
      return false;
    }
    if (output->output && !resize_output(context, output)) return false;
  }
  return true;
}

// RESHAPE's output uses its input's memory.
static void share_memory(SparsesepPartition* partition) {
  for (int32_t i = 0; i < partition->operation_count; ++i) {
    const SparsesepOperation* operation = &partition->operations[i];
    if (operation->kind != SPARSESEP_RESHAPE) continue;
    SparsesepPartitionTensor* output =
        sparsesep_find_tensor(partition, operation->outputs->data[0]);
    output->root =
        sparsesep_find_tensor(partition, operation->inputs->data[0])->root;
  }
}

// Finds the last operation that uses each root. Outputs of the partition
// stay in use.
static void find_last_uses(const SparsesepPartition* partition,
                           int32_t* last_use) {
  for (int32_t i = 0; i < partition->operation_count; ++i) {
    const TfLiteIntArray* lists[] = {partition->operations[i].inputs,
                                     partition->operations[i].outputs};
    for (int list = 0; list < 2; ++list) {
      for (int k = 0; k < lists[list]->size; ++k) {
        const SparsesepPartitionTensor* tensor =
            sparsesep_find_tensor(partition, lists[list]->data[k]);
        if (tensor != NULL && last_use[tensor->root] < i) {
          last_use[tensor->root] = i;
        }
      }
    }
  }
  for (int32_t i = 0; i < partition->tensor_count; ++i) {
    const SparsesepPartitionTensor* tensor = &partition->tensors[i];
    if (tensor->output) last_use[tensor->root] = partition->operation_count;
  }
}

// Assigns a free slot to the root, by best fit, or a new one. `busy_until`
// holds the last operation that uses each slot.
static void place(SparsesepPartition* partition, int32_t root, int32_t now,
                  const int32_t* last_use, int32_t* busy_until) {
  SparsesepPartitionTensor* tensor = &partition->tensors[root];
  if (tensor->slot >= 0) return;
  const size_t bytes = sparsesep_tensor_bytes(tensor);
  int32_t best = partition->slot_count;
  for (int32_t slot = 0; slot < partition->slot_count; ++slot) {
    if (busy_until[slot] >= now) continue;
    const size_t size = partition->slot_bytes[slot];
    const size_t best_size =
        best == partition->slot_count ? 0 : partition->slot_bytes[best];
    const bool fits = size >= bytes;
    if (best == partition->slot_count || (fits && best_size < bytes) ||
        (fits && size < best_size) || (!fits && size > best_size)) {
      best = slot;
    }
  }
  if (best == partition->slot_count) {
    partition->slot_bytes[partition->slot_count++] = 0;
  }
  if (partition->slot_bytes[best] < bytes) partition->slot_bytes[best] = bytes;
  busy_until[best] = last_use[root];
  tensor->slot = best;
}

static bool keeps_own_memory(const SparsesepPartitionTensor* tensor,
                             bool keep_boundary) {
  return tensor->constant ||
         (keep_boundary && (tensor->input || tensor->output));
}

static void place_all(SparsesepPartition* partition, bool keep_boundary,
                      const int32_t* last_use, int32_t* busy_until) {
  partition->slot_count = 0;
  for (int32_t i = 0; i < partition->tensor_count; ++i) {
    partition->tensors[i].slot = -1;
  }
  // All inputs are live before the first operation.
  for (int32_t i = 0; i < partition->tensor_count; ++i) {
    const SparsesepPartitionTensor* tensor = &partition->tensors[i];
    if (tensor->input && !keeps_own_memory(tensor, keep_boundary)) {
      place(partition, tensor->root, -1, last_use, busy_until);
    }
  }
  for (int32_t i = 0; i < partition->operation_count; ++i) {
    const SparsesepPartitionTensor* output =
        sparsesep_partition_output(partition, &partition->operations[i]);
    if (!keeps_own_memory(output, keep_boundary)) {
      place(partition, output->root, i, last_use, busy_until);
    }
  }
}

bool sparsesep_plan_partition(SparsesepPartition* partition,
                              TfLiteContext* context, bool keep_boundary) {
  if (!infer_shapes(partition, context)) return false;
  if (!keep_boundary) share_memory(partition);
  const size_t count = (size_t)partition->tensor_count;
  int32_t* last_use = malloc(count * sizeof(int32_t));
  int32_t* busy_until = calloc(count, sizeof(int32_t));
  const bool enough = last_use != NULL && busy_until != NULL;
  if (enough) {
    for (size_t i = 0; i < count; ++i) last_use[i] = -1;
    find_last_uses(partition, last_use);
    place_all(partition, keep_boundary, last_use, busy_until);
  }
  free(last_use);
  free(busy_until);
  if (!enough) sparsesep_out_of_memory(context);
  return enough;
}
