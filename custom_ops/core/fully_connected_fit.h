// What prepare of a fully-connected operator does once its weights are checked,
// wherever they are. In a header, so that an image with one such operator
// carries it as a part of that.
#ifndef SPARSESEP_FULLY_CONNECTED_FIT_H_
#define SPARSESEP_FULLY_CONNECTED_FIT_H_

#include "sparse_fully_connected_op.h"
#include "sparsesep/compiler.h"

// How many vectors of `length` elements a tensor of `type` holds, whatever
// dimensions they are spread over. 0 where there is no such tensor, a dimension
// is not positive, or they come to more than an int32.
static inline uint32_t sparsesep_vector_count(const SparsesepHost* host,
                                              SparsesepTensorSlot slot,
                                              SparsesepTensorType type,
                                              uint32_t length,
                                              SparsesepTensor* tensor) {
  if (host->get_tensor(host, slot, tensor) != SPARSESEP_OK ||
      tensor->type != type) {
    return 0;
  }
  uint32_t count = 1;
  for (int32_t i = 0; i < tensor->rank; ++i) {
    const int32_t dim = tensor->dims[i];
    if (dim <= 0 || count > INT32_MAX / (uint32_t)dim) return 0;
    count *= (uint32_t)dim;
  }
  return count % length == 0 ? count / length : 0;
}

// How many vectors of `cols` elements begin every `step` elements of the input
// and end inside of it. 0 where it is no such tensor or none fits, and where
// vectors that lie side by side leave a rest.
static inline uint32_t sparsesep_window_count(const SparsesepHost* host,
                                              SparsesepTensorType type,
                                              uint32_t cols, uint32_t step) {
  SparsesepTensor tensor;
  const uint32_t elements =
      sparsesep_vector_count(host, SPARSESEP_SLOT_INPUT, type, 1, &tensor);
  // Valid headers have columns, and the step defaults to them: neither is 0.
  // NOLINTNEXTLINE(clang-analyzer-core.DivideZero)
  if (elements < cols || (step == cols && elements % cols != 0)) return 0;
  return (elements - cols) / step + 1;
}

// Holds options and tensors against shape and types in the header of the
// weights, and fills in `batch`, `variant` and a step that the options do not
// tell.
SPARSESEP_COLD
static inline SparsesepStatus sparsesep_fully_connected_fit(
    const SparsesepHost* host, SparsesepFullyConnectedOp* op,
    const SparsesepPackedHeader* weights) {
  SparsesepTensor tensor;
  SparsesepTensorType type = SPARSESEP_TENSOR_FLOAT32;
  if (weights->value_type != SPARSESEP_VALUE_FLOAT32) {
    type = SPARSESEP_TENSOR_INT8;
    if (!sparsesep_are_int8(&op->params)) return SPARSESEP_BAD_OPTIONS;
  }
  if (op->params.input_step == 0) {
    op->params.input_step = (int32_t)weights->cols;
  }
  const uint32_t batch = sparsesep_window_count(
      host, type, weights->cols, (uint32_t)op->params.input_step);
  if (batch == 0 ||
      batch != sparsesep_vector_count(host, SPARSESEP_SLOT_OUTPUT, type,
                                      weights->rows, &tensor)) {
    return SPARSESEP_BAD_TENSOR;
  }
  op->batch = (int32_t)batch;

  op->variant = sparsesep_select_fully_connected(weights);
  return op->variant == NULL ? SPARSESEP_UNSUPPORTED : SPARSESEP_OK;
}

#endif  // SPARSESEP_FULLY_CONNECTED_FIT_H_
