// 1x1 blocks, uint16 columns, int8 values: any core.
#include "rows.h"
#include "variants.h"

void sparsesep_fully_connected_1x1_u16_int8_scalar(
    const SparsesepPackedHeader* weights,
    const SparsesepFullyConnectedParams* params, const void* input,
    int32_t batch, void* output, void* scratch) {
  (void)scratch;
  const SparsesepRows rows = sparsesep_rows(weights, params);
  const uint16_t* counts = sparsesep_section(weights, weights->counts_offset);
  const int8_t* vector = input;
  int8_t* out = output;

  for (; batch > 0; --batch, vector += weights->cols) {
    const uint16_t* column = sparsesep_section(weights, weights->index_offset);
    const int8_t* value = sparsesep_section(weights, weights->value_offset);
    for (uint32_t row = 0; row < weights->rows; ++row) {
      // Unsigned, so that an accumulator which overflows wraps as in TFLite.
      uint32_t acc = (uint32_t)rows.bias[row];
      for (uint32_t n = counts[row]; n > 0; n -= 4, column += 4, value += 4) {
        acc += (uint32_t)(value[0] * vector[column[0]]);
        acc += (uint32_t)(value[1] * vector[column[1]]);
        acc += (uint32_t)(value[2] * vector[column[2]]);
        acc += (uint32_t)(value[3] * vector[column[3]]);
      }
      *out++ = sparsesep_finish_row(&rows, row, acc);
    }
  }
}
