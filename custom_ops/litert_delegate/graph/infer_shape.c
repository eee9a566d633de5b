#include <string.h>

#include "graph/partition.h"
#include "graph/quantization.h"
#include "graph/window.h"
#include "op_options.h"
#include "sparsesep/depthwise_conv.h"
#include "sparsesep/packed_weights.h"
#include "sparsesep/separable_conv.h"
#include "sparsesep/sparse_conv.h"

// Sets the first dimension of a valid shape so that it holds `elements`.
static bool fit_first(SparsesepShape* shape, int64_t elements) {
  if (shape->rank < 1) return false;
  const int64_t rest = sparsesep_element_count(shape) / shape->dims[0];
  return elements % rest == 0 &&
         sparsesep_set_size(elements / rest, &shape->dims[0]);
}

static bool infer_fully_connected(const SparsesepShape* input, int32_t rows,
                                  int32_t cols, bool keep_dims,
                                  SparsesepShape* shape) {
  const int64_t elements = sparsesep_element_count(input);
  if (elements % cols != 0) return false;
  if (!keep_dims) {
    *shape = (SparsesepShape){2, {(int32_t)(elements / cols), rows}};
    return true;
  }
  *shape = *input;
  shape->dims[shape->rank - 1] = rows;
  return input->dims[input->rank - 1] == cols;
}

// Windows of a batch would reach across two inputs, so a layer over windows
// keeps the model's output shape; preparing the layer checks it against the
// input.
static bool is_over_windows(const SparsesepOperation* operation) {
  return sparsesep_options_head(operation->options, operation->options_bytes) ==
         SPARSESEP_OPTIONS_HEAD_WINDOWS;
}

// The blob holds at least a header; it is validated later.
static bool infer_sparse(const SparsesepOperation* operation,
                         const TfLiteTensor* blob, const SparsesepShape* input,
                         SparsesepShape* shape) {
  if (is_over_windows(operation)) return true;
  SparsesepPackedHeader header;
  if (blob->bytes < sizeof(header)) return true;
  memcpy(&header, blob->data, sizeof(header));
  if (header.cols < 1 || header.cols > SPARSESEP_PACKED_MAX_DIM ||
      header.rows < 1 || header.rows > SPARSESEP_PACKED_MAX_DIM) {
    return true;
  }
  return fit_first(shape,
                   sparsesep_element_count(input) / header.cols * header.rows);
}

static bool infer_depthwise(const TfLiteTensor* blob,
                            const SparsesepShape* input,
                            SparsesepShape* shape) {
  // Shapes and channels are only right if everything else is.
  if (input->rank != 4 || (uintptr_t)blob->data % sizeof(uint32_t) != 0 ||
      sparsesep_validate_depthwise_conv(blob->data, blob->bytes) !=
          SPARSESEP_OK) {
    return true;
  }
  const SparsesepDepthwiseConv* conv = (const void*)blob->data;
  SparsesepConvShape image = {
      input->dims[0], input->dims[1], input->dims[2], 0, 0, 0, 0};
  if (sparsesep_depthwise_conv_shape(conv, &image) != SPARSESEP_OK) return true;
  *shape =
      (SparsesepShape){4,
                       {image.batch, image.output_height, image.output_width,
                        (int32_t)sparsesep_depthwise_outputs(conv)}};
  return true;
}

static bool infer_separable(const TfLiteTensor* blob,
                            const SparsesepShape* input,
                            SparsesepShape* shape) {
  SparsesepSeparableConv conv;
  if (blob->bytes < sizeof(conv)) return true;
  memcpy(&conv, blob->data, sizeof(conv));
  if (sparsesep_is_depthwise(&conv)) return infer_depthwise(blob, input, shape);
  if (input->rank != 4 || conv.vertical.stride < 1 ||
      conv.horizontal.stride < 1) {
    return true;
  }
  SparsesepConvShape image = {
      input->dims[0], input->dims[1], input->dims[2], 0, 0, 0, 0};
  if (sparsesep_separable_conv_shape(&conv, &image) != SPARSESEP_OK) {
    return true;
  }
  *shape = (SparsesepShape){4,
                            {image.batch, image.output_height,
                             image.output_width, conv.output_channels}};
  return true;
}

static bool infer_sparse_conv(const TfLiteTensor* blob,
                              const SparsesepShape* input,
                              SparsesepShape* shape) {
  struct {
    SparsesepSparseConv conv;
    SparsesepPackedHeader weights;
  } blob_start;
  if (blob->bytes < sizeof(blob_start)) return true;
  memcpy(&blob_start, blob->data, sizeof(blob_start));
  const SparsesepSparseConv* conv = &blob_start.conv;
  const uint32_t units = blob_start.weights.rows;
  if (input->rank != 4 || conv->stride_height < 1 || conv->stride_width < 1 ||
      units < 1 || units > SPARSESEP_PACKED_MAX_DIM) {
    return true;
  }
  SparsesepConvShape image = {
      input->dims[0], input->dims[1], input->dims[2], 0, 0, 0, 0};
  if (sparsesep_sparse_conv_shape(conv, &image) == SPARSESEP_OK) {
    *shape = (SparsesepShape){
        4,
        {image.batch, image.output_height, image.output_width, (int32_t)units}};
  }
  return true;
}

static bool infer_window(const SparsesepOperation* operation,
                         const TfLiteTensor* second,
                         const SparsesepShape* input, SparsesepShape* shape) {
  if (input->rank != 4) return false;
  const int* weights = second == NULL ? NULL : second->dims->data;
  const SparsesepWindow window = sparsesep_read_window(operation, weights);
  int32_t pad;
  *shape = *input;
  for (int i = 0; i < 2; ++i) {
    shape->dims[1 + i] =
        sparsesep_window_output(&window, i, input->dims[1 + i], &pad);
    if (shape->dims[1 + i] < 1) return false;
  }
  const bool is_depthwise = operation->kind == SPARSESEP_DEPTHWISE_CONV_2D;
  if (operation->kind != SPARSESEP_CONV_2D && !is_depthwise) return true;
  if (weights == NULL) return false;
  shape->dims[3] = weights[is_depthwise ? 3 : 0];
  return is_depthwise ? weights[3] % input->dims[3] == 0
                      : weights[3] == input->dims[3];
}

// Dimensions of 1 broadcast; shapes are aligned at their ends.
static bool infer_broadcast(const SparsesepShape* a, const SparsesepShape* b,
                            SparsesepShape* shape) {
  const SparsesepShape* longer = a->rank >= b->rank ? a : b;
  const SparsesepShape* shorter = a->rank >= b->rank ? b : a;
  *shape = *longer;
  for (int32_t i = 1; i <= shorter->rank; ++i) {
    int32_t* dim = &shape->dims[shape->rank - i];
    const int32_t other = shorter->dims[shorter->rank - i];
    if (*dim != other && *dim != 1 && other != 1) return false;
    if (*dim == 1) *dim = other;
  }
  return true;
}

static bool infer_concatenation(const SparsesepPartition* partition,
                                const SparsesepOperation* operation,
                                SparsesepShape* shape) {
  const TfLiteConcatenationParams* p = operation->parameters;
  *shape = sparsesep_partition_input(partition, operation, 0)->shape;
  const int32_t axis = p->axis < 0 ? p->axis + shape->rank : p->axis;
  if (axis < 0 || axis >= shape->rank) return false;
  int64_t total = shape->dims[axis];
  for (int i = 1; i < operation->inputs->size; ++i) {
    const SparsesepShape* other =
        &sparsesep_partition_input(partition, operation, i)->shape;
    if (other->rank != shape->rank) return false;
    for (int32_t k = 0; k < shape->rank; ++k) {
      if (k != axis && other->dims[k] != shape->dims[k]) return false;
    }
    total += other->dims[axis];
  }
  return sparsesep_set_size(total, &shape->dims[axis]);
}

// `amounts`: int32 [rank of the model's input][2].
static bool infer_pad(const TfLiteTensor* amounts, const SparsesepShape* input,
                      SparsesepShape* shape) {
  const int32_t* values = amounts->data;
  if (amounts->dims->data[0] != input->rank) return false;
  *shape = *input;
  for (int32_t i = 0; i < shape->rank; ++i) {
    const int64_t size =
        (int64_t)shape->dims[i] + values[2 * i] + values[2 * i + 1];
    if (!sparsesep_set_size(size, &shape->dims[i])) return false;
  }
  return true;
}

// Checks the depth again, which bounds the sum of an int8 SOFTMAX.
static bool infer_softmax(const TfLiteTensor* tensor,
                          const SparsesepShape* input, SparsesepShape* shape) {
  *shape = *input;
  return tensor->type != kTfLiteInt8 ||
         input->dims[input->rank - 1] <= SPARSESEP_SOFTMAX_MAX_DEPTH;
}

static bool infer(const TfLiteContext* context,
                  const SparsesepPartition* partition,
                  const SparsesepOperation* operation, SparsesepShape* shape) {
  const SparsesepShape* input =
      &sparsesep_partition_input(partition, operation, 0)->shape;
  const TfLiteTensor* second =
      sparsesep_tensor_of(context, operation->inputs, 1);
  switch (operation->kind) {
    case SPARSESEP_SPARSE_FULLY_CONNECTED:
      return infer_sparse(operation, second, input, shape);
    case SPARSESEP_SEPARABLE_CONV_2D:
      return infer_separable(second, input, shape);
    case SPARSESEP_SPARSE_CONV_2D:
      return infer_sparse_conv(second, input, shape);
    case SPARSESEP_FULLY_CONNECTED: {
      const TfLiteFullyConnectedParams* p = operation->parameters;
      return infer_fully_connected(input, second->dims->data[0],
                                   second->dims->data[1], p->keep_num_dims,
                                   shape);
    }
    case SPARSESEP_CONV_2D:
    case SPARSESEP_DEPTHWISE_CONV_2D:
    case SPARSESEP_AVERAGE_POOL_2D:
    case SPARSESEP_MAX_POOL_2D:
      return infer_window(operation, second, input, shape);
    case SPARSESEP_ADD:
    case SPARSESEP_MUL:
      return infer_broadcast(
          input, &sparsesep_partition_input(partition, operation, 1)->shape,
          shape);
    case SPARSESEP_RESHAPE:
      return fit_first(shape, sparsesep_element_count(input));
    case SPARSESEP_PAD:
      return infer_pad(second, input, shape);
    case SPARSESEP_CONCATENATION:
      return infer_concatenation(partition, operation, shape);
    case SPARSESEP_SOFTMAX:
      return infer_softmax(sparsesep_tensor_of(context, operation->inputs, 0),
                           input, shape);
    default:
      *shape = *input;
      return true;
  }
}

bool sparsesep_infer_shape(const TfLiteContext* context,
                           const SparsesepPartition* partition,
                           const SparsesepOperation* operation,
                           SparsesepShape* shape) {
  SparsesepShape inferred = *shape;
  if (!infer(context, partition, operation, &inferred) ||
      !sparsesep_is_valid_shape(&inferred)) {
    return false;
  }
  *shape = inferred;
  return true;
}
