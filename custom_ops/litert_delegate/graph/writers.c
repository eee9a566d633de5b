#include "graph/writers.h"

#include <stdlib.h>

int32_t* sparsesep_find_writers(TfLiteContext* context,
                                const TfLiteIntArray* plan) {
  const size_t count = context->tensors_size;
  int32_t* writers = malloc((count + 1) * sizeof(int32_t));
  if (writers == NULL) return NULL;
  for (size_t i = 0; i < count; ++i) writers[i] = SPARSESEP_NO_WRITER;
  for (int position = 0; position < plan->size; ++position) {
    TfLiteNode* node = NULL;
    TfLiteRegistration* registration = NULL;
    if (context->GetNodeAndRegistration(context, plan->data[position], &node,
                                        &registration) != kTfLiteOk) {
      continue;
    }
    for (int i = 0; i < node->outputs->size; ++i) {
      const int index = node->outputs->data[i];
      if (index < 0 || (size_t)index >= count) continue;
      writers[index] = writers[index] == SPARSESEP_NO_WRITER
                           ? position
                           : SPARSESEP_SEVERAL_WRITERS;
    }
  }
  return writers;
}

bool sparsesep_writes_constants(const TfLiteContext* context,
                                const int32_t* writers) {
  for (size_t i = 0; i < context->tensors_size; ++i) {
    if (writers[i] != SPARSESEP_NO_WRITER &&
        context->tensors[i].allocation_type == kTfLiteMmapRo) {
      return true;
    }
  }
  return false;
}

bool sparsesep_is_written_in_order(const TfLiteContext* context,
                                   const int32_t* writers, int32_t position,
                                   const SparsesepOperation* operation) {
  for (int i = 0; i < operation->inputs->size; ++i) {
    const TfLiteTensor* input =
        sparsesep_tensor_of(context, operation->inputs, i);
    if (input == NULL) continue;
    const int32_t writer = writers[operation->inputs->data[i]];
    const bool in_order =
        sparsesep_is_constant(input)
            ? writer == SPARSESEP_NO_WRITER
            : writer != SPARSESEP_SEVERAL_WRITERS && writer < position;
    if (!in_order) return false;
  }
  return writers[operation->outputs->data[0]] == position;
}
