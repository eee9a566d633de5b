#include "opencl/operators/sparse_rows.h"

#include <stdlib.h>
#include <string.h>

#include "opencl/row_kernel.h"
#include "opencl/sources.h"
#include "opencl/unpack_tiles.h"

// Creates the kernel with its arguments up to the weights.
static SparsesepRowKernel open_kernel(const SparsesepOpenclNode* node,
                                      const char* name,
                                      const SparsesepPackedHeader* h,
                                      const SparsesepTiles* tiles,
                                      const SparsesepVectors* vectors,
                                      cl_mem values) {
  SparsesepOpenclRunner* runner = node->runner;
  SparsesepRowKernel kernel = {
      .source = sparsesep_cl_sparse_fully_connected,
      .name = name,
      .is_float = h->value_type == SPARSESEP_VALUE_FLOAT32,
      .tile_rows = tiles->tile_rows,
      .tile_cols = tiles->tile_cols,
      .groups = tiles->groups,
      .batch = vectors->batch,
      .step = vectors->params->input_step,
      .pitch = vectors->pitch,
      .cols = h->cols,
      .weights = (int64_t)tiles->count * tiles->tile_rows * tiles->tile_cols};
  cl_mem starts = sparsesep_add_constant(runner, tiles->starts,
                                         (tiles->groups + 1) * sizeof(int32_t));
  cl_mem columns = sparsesep_add_constant(runner, tiles->columns,
                                          tiles->count * sizeof(uint16_t));
  sparsesep_add_row_buffer(&kernel, vectors->input);
  sparsesep_add_row_buffer(&kernel, starts);
  sparsesep_add_row_buffer(&kernel, columns);
  sparsesep_add_row_buffer(&kernel, values);
  return kernel;
}

static void add_int8(const SparsesepOpenclNode* node,
                     const SparsesepPackedHeader* h,
                     const SparsesepTiles* tiles,
                     const SparsesepVectors* vectors, int32_t* numbers) {
  SparsesepOpenclRunner* runner = node->runner;
  const size_t bytes = h->rows * sizeof(int32_t);
  const int8_t* shift = sparsesep_section(h, h->shift_offset);
  SparsesepRowKernel kernel =
      open_kernel(node, "sparse_fully_connected_int8", h, tiles, vectors,
                  sparsesep_add_constant(
                      runner, tiles->values,
                      (size_t)tiles->count * h->block_rows * h->block_cols));
  sparsesep_folded_bias(h, tiles, vectors->params->input_zero_point, numbers);
  sparsesep_add_row_buffer(&kernel,
                           sparsesep_add_constant(runner, numbers, bytes));
  sparsesep_add_row_buffer(
      &kernel, sparsesep_add_constant(
                   runner, sparsesep_section(h, h->multiplier_offset), bytes));
  for (uint32_t row = 0; row < h->rows; ++row) numbers[row] = shift[row];
  sparsesep_add_row_buffer(&kernel,
                           sparsesep_add_constant(runner, numbers, bytes));
  sparsesep_add_row_buffer(&kernel, sparsesep_buffer_of(runner, node->output));
  const int32_t arguments[] = {(int32_t)tiles->groups,
                               vectors->batch,
                               (int32_t)h->rows,
                               vectors->params->input_step,
                               vectors->width,
                               vectors->pitch,
                               vectors->params->output_zero_point,
                               vectors->params->activation_min,
                               vectors->params->activation_max};
  sparsesep_add_row_ints(&kernel, 9, arguments);
  sparsesep_add_row_step(node, &kernel);
}

static void add_float(const SparsesepOpenclNode* node,
                      const SparsesepPackedHeader* h,
                      const SparsesepTiles* tiles,
                      const SparsesepVectors* vectors) {
  SparsesepOpenclRunner* runner = node->runner;
  float limits[2];
  memcpy(&limits[0], &vectors->params->activation_min, sizeof(float));
  memcpy(&limits[1], &vectors->params->activation_max, sizeof(float));
  SparsesepRowKernel kernel =
      open_kernel(node, "sparse_fully_connected_float", h, tiles, vectors,
                  sparsesep_add_floats(runner, tiles->values, tiles->count));
  sparsesep_add_row_buffer(
      &kernel,
      sparsesep_add_constant(runner, sparsesep_section(h, h->bias_offset),
                             h->rows * sizeof(float)));
  sparsesep_add_row_buffer(&kernel, sparsesep_buffer_of(runner, node->output));
  const int32_t arguments[] = {
      (int32_t)tiles->groups,      vectors->batch, (int32_t)h->rows,
      vectors->params->input_step, vectors->width, vectors->pitch};
  sparsesep_add_row_ints(&kernel, 6, arguments);
  sparsesep_add_row_float(&kernel, limits[0]);
  sparsesep_add_row_float(&kernel, limits[1]);
  sparsesep_add_row_step(node, &kernel);
}

void sparsesep_add_sparse_rows(const SparsesepOpenclNode* node,
                               const SparsesepPackedHeader* h,
                               const SparsesepVectors* vectors) {
  SparsesepTiles tiles;
  int32_t* numbers = malloc(h->rows * sizeof(int32_t));
  // int8 kernels read whole chunks of 16 weights.
  const int32_t multiple = h->value_type == SPARSESEP_VALUE_FLOAT32
                               ? 1
                               : 16 / (h->block_rows * h->block_cols);
  if (!sparsesep_unpack_tiles(h, multiple, &tiles) || numbers == NULL) {
    sparsesep_opencl_fail(node->runner, "out of memory", 0);
  } else if (h->value_type == SPARSESEP_VALUE_FLOAT32) {
    add_float(node, h, &tiles, vectors);
  } else {
    add_int8(node, h, &tiles, vectors, numbers);
  }
  sparsesep_free_tiles(&tiles);
  free(numbers);
}
