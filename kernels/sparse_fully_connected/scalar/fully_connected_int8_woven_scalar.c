// Row-major int8 blocks with uint8 steps, or all of them, two rows interleaved
// in an int16: any core. Twins of the kernels for the DSP extension.
#include "sparse_fully_connected/row_groups.h"
#include "sparse_fully_connected/variants.h"

// sums[block_rows] += one block times x[4]. Unsigned, so that an accumulator
// which overflows wraps as in TFLite.
static inline void add_block(const int8_t* value, uint32_t block_rows,
                             const int32_t* x, uint32_t* sums) {
  for (uint32_t parity = 0; parity < 2; ++parity) {
    for (uint32_t row = 0; row < block_rows; row += 2) {
      for (uint32_t col = parity; col < 4; col += 2, value += 2) {
        const int32_t low = value[0];
        const int32_t high = value[1] + (low < 0);
        sums[row] += (uint32_t)(low * x[col]);
        sums[row + 1] += (uint32_t)(high * x[col]);
      }
    }
  }
}

static inline void multiply_blocks(SparsesepRowStreams* streams,
                                   const int8_t* vector, uint32_t groups,
                                   uint32_t* acc, uint32_t block_rows,
                                   int is_dense) {
  const uint8_t* step = streams->index;
  const int8_t* value = streams->value;
  for (; groups > 0; --groups, acc += block_rows) {
    const int8_t* x = vector;
    for (uint32_t row = 0; row < block_rows; ++row) acc[row] = 0;
    for (uint32_t n = *streams->counts++; n > 0; --n) {
      if (!is_dense) x += *step++ * 4;
      const int32_t inputs[4] = {x[0], x[1], x[2], x[3]};
      add_block(value, block_rows, inputs, acc);
      value += 4 * block_rows;
      if (is_dense) x += 4;
    }
  }
  streams->index = step;
  streams->value = value;
}

#define KERNEL(layout, block_rows, is_dense)                             \
  static void multiply_##layout(SparsesepRowStreams* streams,            \
                                const int8_t* vector, uint32_t groups,   \
                                uint32_t* acc) {                         \
    multiply_blocks(streams, vector, groups, acc, block_rows, is_dense); \
  }                                                                      \
  SPARSESEP_KERNEL(layout, scalar, sparsesep_run_row_groups, multiply_##layout)

KERNEL(2x4_delta8_int8_woven, 2, 0)
KERNEL(4x4_delta8_int8_woven, 4, 0)
KERNEL(4x4_dense_int8_woven, 4, 1)
