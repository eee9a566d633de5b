// 1x1 blocks, uint16 columns, int8 values: any core.
#include "rows.h"
#include "variants.h"

// Where the streams stand.
typedef struct Streams {
  const uint16_t* counts;
  const uint16_t* column;
  const int8_t* value;
} Streams;

static void multiply_rows(Streams* streams, const int8_t* vector,
                          uint32_t count, uint32_t* acc) {
  const uint16_t* column = streams->column;
  const int8_t* value = streams->value;
  for (uint32_t row = 0; row < count; ++row) {
    // Unsigned, so that an accumulator which overflows wraps as in TFLite.
    uint32_t sum = 0;
    for (uint32_t n = *streams->counts++; n > 0; n -= 4) {
      sum += (uint32_t)(value[0] * vector[column[0]]);
      sum += (uint32_t)(value[1] * vector[column[1]]);
      sum += (uint32_t)(value[2] * vector[column[2]]);
      sum += (uint32_t)(value[3] * vector[column[3]]);
      column += 4;
      value += 4;
    }
    acc[row] = sum;
  }
  streams->column = column;
  streams->value = value;
}

void sparsesep_fully_connected_1x1_u16_int8_scalar(
    const SparsesepPackedHeader* weights,
    const SparsesepFullyConnectedParams* params, const void* input,
    int32_t batch, void* output, void* scratch) {
  (void)scratch;
  const SparsesepRows rows = sparsesep_rows(weights, params);
  const int8_t* vector = input;
  int8_t* out = output;

  for (; batch > 0; --batch, vector += weights->cols) {
    Streams streams = {sparsesep_section(weights, weights->counts_offset),
                       sparsesep_section(weights, weights->index_offset),
                       sparsesep_section(weights, weights->value_offset)};
    for (uint32_t row = 0; row < weights->rows; row += SPARSESEP_ROW_PORTION) {
      uint32_t acc[SPARSESEP_ROW_PORTION];
      const uint32_t count = sparsesep_portion(weights->rows - row);
      multiply_rows(&streams, vector, count, acc);
      out = sparsesep_finish_rows(&rows, row, count, acc, out);
    }
  }
}
