#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/sparse_fully_connected_op.h"
#include "cpu_port.h"
#include "opencl_operation.h"
#include "opencl_sources.h"
#include "unpack_tiles.h"

// Groups along x and vectors along y, as both kernels want them.
static void set_rows(const SparsesepOpenclNode* node,
                     const SparsesepTiles* tiles, int32_t batch) {
  const int32_t lanes = node->runner->device->lanes;
  if (lanes == 1) {
    sparsesep_set_items(node->runner, tiles->groups, batch, 1);
  } else {
    sparsesep_set_groups(node->runner, tiles->groups, batch, lanes);
  }
}

static void add_tiles(const SparsesepOpenclNode* node, const char* kernel,
                      const SparsesepPackedHeader* h,
                      const SparsesepTiles* tiles, cl_mem values) {
  SparsesepOpenclRunner* runner = node->runner;
  char options[64];
  snprintf(options, sizeof(options), " -DR=%d -DC=%d", h->block_rows,
           h->block_cols);
  cl_mem starts = sparsesep_add_constant(runner, tiles->starts,
                                         (tiles->groups + 1) * sizeof(int32_t));
  cl_mem columns = sparsesep_add_constant(runner, tiles->columns,
                                          tiles->count * sizeof(uint16_t));
  sparsesep_add_step(runner, sparsesep_cl_sparse_fully_connected, options,
                     kernel);
  sparsesep_add_buffer_argument(runner,
                                sparsesep_buffer_of(runner, node->input));
  sparsesep_add_buffer_argument(runner, starts);
  sparsesep_add_buffer_argument(runner, columns);
  sparsesep_add_buffer_argument(runner, values);
}

static void add_int8(const SparsesepOpenclNode* node,
                     const SparsesepPackedHeader* h,
                     const SparsesepTiles* tiles,
                     const SparsesepFullyConnectedOp* op, int32_t* numbers) {
  SparsesepOpenclRunner* runner = node->runner;
  const size_t bytes = h->rows * sizeof(int32_t);
  const int8_t* shift = sparsesep_section(h, h->shift_offset);
  add_tiles(node, "sparse_fully_connected_int8", h, tiles,
            sparsesep_add_constant(
                runner, tiles->values,
                (size_t)tiles->count * h->block_rows * h->block_cols));
  sparsesep_folded_bias(h, tiles, op->params.input_zero_point, numbers);
  sparsesep_add_buffer_argument(runner,
                                sparsesep_add_constant(runner, numbers, bytes));
  sparsesep_add_buffer_argument(
      runner, sparsesep_add_constant(
                  runner, sparsesep_section(h, h->multiplier_offset), bytes));
  for (uint32_t row = 0; row < h->rows; ++row) numbers[row] = shift[row];
  sparsesep_add_buffer_argument(runner,
                                sparsesep_add_constant(runner, numbers, bytes));
  sparsesep_add_output_argument(node);
  const int32_t arguments[] = {
      (int32_t)tiles->groups,    (int32_t)h->rows,
      (int32_t)h->cols,          op->params.output_zero_point,
      op->params.activation_min, op->params.activation_max};
  sparsesep_add_int_arguments(runner, 6, arguments);
  set_rows(node, tiles, op->batch);
}

static void add_float(const SparsesepOpenclNode* node,
                      const SparsesepPackedHeader* h,
                      const SparsesepTiles* tiles,
                      const SparsesepFullyConnectedOp* op) {
  SparsesepOpenclRunner* runner = node->runner;
  float limits[2];
  memcpy(&limits[0], &op->params.activation_min, sizeof(float));
  memcpy(&limits[1], &op->params.activation_max, sizeof(float));
  add_tiles(node, "sparse_fully_connected_float", h, tiles,
            sparsesep_add_floats(runner, tiles->values, tiles->count));
  sparsesep_add_buffer_argument(
      runner,
      sparsesep_add_constant(runner, sparsesep_section(h, h->bias_offset),
                             h->rows * sizeof(float)));
  sparsesep_add_output_argument(node);
  const int32_t arguments[] = {(int32_t)tiles->groups, (int32_t)h->rows,
                               (int32_t)h->cols};
  sparsesep_add_int_arguments(runner, 3, arguments);
  sparsesep_add_float_argument(runner, limits[0]);
  sparsesep_add_float_argument(runner, limits[1]);
  set_rows(node, tiles, op->batch);
}

static void add_layer(const SparsesepOpenclNode* node,
                      const SparsesepPackedHeader* h,
                      const SparsesepFullyConnectedOp* op) {
  SparsesepTiles tiles;
  int32_t* numbers = malloc(h->rows * sizeof(int32_t));
  if (!sparsesep_unpack_tiles(h, &tiles) || numbers == NULL) {
    sparsesep_opencl_fail(node->runner, "out of memory", 0);
  } else if (h->value_type == SPARSESEP_VALUE_FLOAT32) {
    add_float(node, h, &tiles, op);
  } else {
    add_int8(node, h, &tiles, op, numbers);
  }
  sparsesep_free_tiles(&tiles);
  free(numbers);
}

// The op core validates the operator; only its Eval is the device's.
void sparsesep_opencl_sparse_fully_connected(const SparsesepOpenclNode* node) {
  const SparsesepCpuPrepare prepare = {node->context, node->operation,
                                       &node->input->shape,
                                       &node->output->shape, 1};
  SparsesepCpuPort port;
  if (!sparsesep_open_port(&prepare, &port)) {
    sparsesep_opencl_fail(node->runner, "out of memory", 0);
  } else {
    SparsesepFullyConnectedOp* op = sparsesep_fully_connected_init(
        &port.host, node->operation->options, node->operation->options_bytes);
    if (sparsesep_fully_connected_prepare(&port.host, op) == SPARSESEP_OK) {
      add_layer(node, port.tensors[SPARSESEP_SLOT_WEIGHTS].data, op);
    } else {
      sparsesep_opencl_fail(node->runner, "SPARSE_FULLY_CONNECTED refused", 0);
    }
  }
  sparsesep_close_port(&port);
}
