// INDEX_WINDOW8 with all patterns, natural order or rows of 16: any core. Twins
// of the Helium kernels, which these layouts are made for.
#include "common/rows.h"
#include "sparse_fully_connected/variants.h"

// `tile` x row of one block. Only the columns of a tile that lie inside the
// vector are read; the weights of the others are zeros.
static inline uint32_t dot(const int8_t* x, uint32_t columns,
                           const int8_t* value, uint32_t block_cols) {
  const uint32_t n = columns < block_cols ? columns : block_cols;
  uint32_t sum = 0;
  for (uint32_t c = 0; c < n; ++c) sum += (uint32_t)(value[c] * x[c]);
  return sum;
}

// Where the streams stand.
typedef struct Streams {
  const uint8_t* index;
  const int8_t* value;
} Streams;

// Adds one group of `count` blocks to acc[block_rows]. `in_rows`: the rows of a
// run are 16 consecutive bytes each; else blocks follow each other.
static inline void add_group(const SparsesepPackedHeader* weights,
                             Streams* streams, uint32_t count, const int8_t* x,
                             uint32_t block_rows, uint32_t block_cols,
                             int in_rows, uint32_t* acc) {
  const uint32_t run_blocks = 16 / block_cols;
  const uint32_t unit = sparsesep_window_unit(weights);
  const uint32_t row_stride = in_rows ? 16 : block_cols;
  const uint32_t block_stride = in_rows ? block_cols : block_rows * block_cols;
  uint32_t window = 0;
  for (uint32_t n = 0; n < count; ++n) {
    const uint32_t block = n % run_blocks;
    if (unit > 1 && block == 0) window = *streams->index++ * unit;
    const uint32_t column = (window + *streams->index++) * block_cols;
    const int8_t* value = streams->value + block * block_stride;
    for (uint32_t r = 0; r < block_rows; ++r) {
      acc[r] += dot(x + column, weights->cols - column, value + r * row_stride,
                    block_cols);
    }
    if (block == run_blocks - 1 || n == count - 1) {
      streams->value += (block + 1) * block_rows * block_cols;
    }
  }
}

static inline void run_windows(const SparsesepPackedHeader* weights,
                               const SparsesepFullyConnectedParams* params,
                               const int8_t* input, int32_t batch,
                               int8_t* output, void* scratch,
                               uint32_t block_rows, uint32_t block_cols,
                               int in_rows) {
  (void)scratch;
  const SparsesepRows rows = sparsesep_rows(weights, params);
  const uint16_t* counts = sparsesep_section(weights, weights->counts_offset);
  for (; batch > 0; --batch, input += params->input_step) {
    Streams streams = {sparsesep_section(weights, weights->index_offset),
                       sparsesep_section(weights, weights->value_offset)};
    for (uint32_t row = 0; row < weights->rows; row += block_rows) {
      uint32_t acc[4] = {0};
      add_group(weights, &streams, counts[row / block_rows], input, block_rows,
                block_cols, in_rows, acc);
      for (uint32_t r = 0; r < block_rows && row + r < weights->rows; ++r) {
        const uint32_t bias = (uint32_t)rows.bias[row + r];
        *output++ = sparsesep_finish_row(&rows, row + r, bias + acc[r]);
      }
    }
  }
}

// Block rows and columns, and whether values are in rows of 16.
SPARSESEP_KERNEL(1x1_window8_int8, scalar, run_windows, 1, 1, 0)
SPARSESEP_KERNEL(1x4_window8_int8, scalar, run_windows, 1, 4, 0)
SPARSESEP_KERNEL(2x4_window8_int8, scalar, run_windows, 2, 4, 1)
SPARSESEP_KERNEL(4x1_window8_int8, scalar, run_windows, 4, 1, 1)
SPARSESEP_KERNEL(4x4_window8_int8, scalar, run_windows, 4, 4, 1)
