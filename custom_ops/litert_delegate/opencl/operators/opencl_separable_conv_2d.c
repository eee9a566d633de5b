#include <stdlib.h>
#include <string.h>

#include "core/separable_conv_2d_op.h"
#include "graph/core_port.h"
#include "opencl/operators/window_kernel.h"
#include "opencl/sources.h"

// With more local memory, groups would not run concurrently.
#define LOCAL_BYTES 16384

static const void* section(const SparsesepSeparableConv* conv,
                           uint32_t offset) {
  return (const uint8_t*)conv + offset;
}

// Rearranges interleaved weights to [units][kernel][channels]; see
// separable_conv.h.
static void unweave(const int8_t* woven, int32_t units, int32_t kernel,
                    int32_t channels, int8_t* weights) {
  for (int32_t four = 0; four < units; four += 4) {
    for (int32_t tap = 0; tap < kernel; ++tap) {
      for (int32_t pair = 0; pair < (channels + 1) / 2; ++pair) {
        const int32_t start = pair / 2 * 4;
        const bool whole = start + 4 <= channels;
        const int32_t c0 = whole ? start + pair % 2 : 2 * pair;
        for (int32_t i = 0; i < 4; ++i, woven += 2) {
          const int32_t channel = c0 + i % 2 * (whole ? 2 : 1);
          const int32_t unit = four + i / 2 * 2;
          const int32_t both[2] = {woven[0], woven[1] + (woven[0] < 0)};
          for (int32_t u = 0; u < 2; ++u) {
            if (unit + u >= units || channel >= channels) continue;
            weights[((unit + u) * kernel + tap) * channels + channel] =
                (int8_t)both[u];
          }
        }
      }
    }
  }
}

static cl_mem add_weights(const SparsesepOpenclNode* node,
                          const SparsesepSeparableConv* conv,
                          const SparsesepConvStage* stage, int32_t units,
                          int32_t channels) {
  const void* stored = section(conv, stage->weights_offset);
  const size_t count = (size_t)units * stage->kernel * (size_t)channels;
  if (conv->value_type == SPARSESEP_SEPARABLE_FLOAT32) {
    return sparsesep_add_floats(node->runner, stored, count);
  }
  if (conv->order == SPARSESEP_SEPARABLE_NATURAL) {
    return sparsesep_add_constant(node->runner, stored, count);
  }
  int8_t* weights = malloc(count);
  if (weights == NULL) {
    sparsesep_opencl_fail(node->runner, "out of memory", 0);
    return NULL;
  }
  unweave(stored, units, stage->kernel, channels, weights);
  cl_mem buffer = sparsesep_add_constant(node->runner, weights, count);
  free(weights);
  return buffer;
}

// Adds weights, biases and, for int8 stages, multipliers and shifts.
static void add_stage(const SparsesepOpenclNode* node,
                      const SparsesepSeparableConv* conv,
                      const SparsesepConvStage* stage, int32_t units,
                      int32_t channels) {
  SparsesepOpenclRunner* runner = node->runner;
  const size_t bytes = (size_t)units * sizeof(int32_t);
  sparsesep_add_buffer_argument(
      runner, add_weights(node, conv, stage, units, channels));
  sparsesep_add_buffer_argument(
      runner,
      sparsesep_add_constant(runner, section(conv, stage->bias_offset), bytes));
  if (conv->value_type == SPARSESEP_SEPARABLE_FLOAT32) return;
  sparsesep_add_buffer_argument(
      runner, sparsesep_add_constant(
                  runner, section(conv, stage->multiplier_offset), bytes));
  const int8_t* shift = section(conv, stage->shift_offset);
  int32_t* shifts = malloc(bytes);
  if (shifts == NULL) {
    sparsesep_opencl_fail(runner, "out of memory", 0);
    return;
  }
  for (int32_t i = 0; i < units; ++i) shifts[i] = shift[i];
  sparsesep_add_buffer_argument(runner,
                                sparsesep_add_constant(runner, shifts, bytes));
  free(shifts);
}

static size_t row_bytes(const SparsesepSeparableConv* conv, int32_t tile) {
  const size_t columns =
      (size_t)(tile - 1) * conv->horizontal.stride + conv->horizontal.kernel;
  return columns * conv->middle_channels *
         (conv->value_type == SPARSESEP_SEPARABLE_FLOAT32 ? 4 : 1);
}

// Pairs need room for tile = 1, whatever the image size; depthwise blobs none.
bool sparsesep_opencl_fits_separable(const SparsesepOpenclDevice* device,
                                     const TfLiteTensor* blob) {
  SparsesepSeparableConv conv;
  if (blob->bytes < sizeof(conv)) return false;
  memcpy(&conv, blob->data, sizeof(conv));
  return sparsesep_is_depthwise(&conv) ||
         row_bytes(&conv, 1) <= device->local_bytes / 2;
}

static void add_numbers(const SparsesepOpenclNode* node,
                        const SparsesepSeparableConv* conv, size_t row) {
  SparsesepOpenclRunner* runner = node->runner;
  const int32_t limits[] = {
      conv->vertical.activation_min, conv->vertical.activation_max,
      conv->horizontal.activation_min, conv->horizontal.activation_max};
  int32_t numbers[7] = {conv->input_zero_point, conv->middle_zero_point,
                        conv->output_zero_point};
  memcpy(numbers + 3, limits, sizeof(limits));
  const bool quantized = conv->value_type == SPARSESEP_SEPARABLE_INT8;
  sparsesep_add_buffer_argument(
      runner, quantized
                  ? sparsesep_add_constant(runner, numbers, sizeof(numbers))
                  : sparsesep_add_constant(runner, limits, sizeof(limits)));
  sparsesep_add_local_argument(runner, row);
}

static void add_layer(const SparsesepOpenclNode* node,
                      const SparsesepSeparableConv* conv,
                      const SparsesepConvShape* shape) {
  SparsesepOpenclRunner* runner = node->runner;
  const bool quantized = conv->value_type == SPARSESEP_SEPARABLE_INT8;
  size_t room = runner->device->local_bytes / 2;
  if (room > LOCAL_BYTES) room = LOCAL_BYTES;
  int32_t tile = shape->output_width;
  while (tile > 1 && row_bytes(conv, tile) > room) tile = (tile + 1) / 2;
  sparsesep_add_node_step(
      node, sparsesep_cl_separable_conv_2d,
      quantized ? "separable_conv_2d_int8" : "separable_conv_2d_float");
  add_stage(node, conv, &conv->vertical, conv->middle_channels,
            conv->input_channels);
  add_stage(node, conv, &conv->horizontal, conv->output_channels,
            conv->middle_channels);
  sparsesep_add_output_argument(node);
  const int32_t sizes[] = {shape->input_height,     shape->input_width,
                           conv->input_channels,    shape->output_height,
                           shape->output_width,     conv->middle_channels,
                           conv->output_channels,   conv->vertical.kernel,
                           conv->horizontal.kernel, conv->vertical.stride,
                           conv->horizontal.stride, shape->pad_top,
                           shape->pad_left,         tile};
  sparsesep_add_int_arguments(runner, 14, sizes);
  add_numbers(node, conv, row_bytes(conv, tile));
  sparsesep_set_groups(runner, (shape->output_width + tile - 1) / tile,
                       (int64_t)shape->batch * shape->output_height,
                       runner->device->group_size);
}

// The op core validates the operator; the device only replaces its eval.
void sparsesep_opencl_separable_conv_2d(const SparsesepOpenclNode* node) {
  SparsesepCorePort port;
  const SparsesepConvOp* op = sparsesep_open_core_op(
      node->context, node->runner->partition, node->operation, &port);
  const void* blob = port.tensors[SPARSESEP_SLOT_WEIGHTS].data;
  if (op == NULL) {
    sparsesep_opencl_fail(node->runner, "SEPARABLE_CONV_2D refused", 0);
  } else if (sparsesep_is_depthwise(blob)) {
    sparsesep_add_depthwise_blob(node, blob, &op->shape);
  } else {
    add_layer(node, blob, &op->shape);
  }
  sparsesep_close_port(&port);
}
