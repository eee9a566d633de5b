// 4x1 blocks, column after column, uint16 offsets, int8 values: any core.
//
// Input-stationary: the weights of a column are read only where the input
// differs from its zero point. Bias is not folded, inputs are centred here.
//
// Scratch: uint32 acc[rows rounded up to 4].
#include <string.h>

#include "column_scratch.h"
#include "rows.h"
#include "variants.h"

void sparsesep_fully_connected_4x1_offset16_int8_column_scalar(
    const SparsesepPackedHeader* weights,
    const SparsesepFullyConnectedParams* params, const void* input,
    int32_t batch, void* output, void* scratch) {
  const SparsesepRows rows = sparsesep_rows(weights, params);
  const uint16_t* counts = sparsesep_section(weights, weights->counts_offset);
  const int8_t* vector = input;
  int8_t* out = output;
  uint32_t* acc = scratch;

  for (; batch > 0; --batch, vector += weights->cols) {
    const uint16_t* offset = sparsesep_section(weights, weights->index_offset);
    const int8_t* value = sparsesep_section(weights, weights->value_offset);
    memcpy(acc, rows.bias, 4 * weights->rows);
    for (uint32_t row = weights->rows; row % 4 != 0; ++row) acc[row] = 0;
    for (uint32_t col = 0; col < weights->cols; ++col) {
      const int32_t x = vector[col] - params->input_zero_point;
      const uint32_t count = counts[col];
      for (uint32_t n = x == 0 ? 0 : count; n > 0; --n) {
        uint32_t* target = acc + offset[count - n] / 4;
        const int8_t* block = value + 4 * (count - n);
        target[0] += (uint32_t)(block[0] * x);
        target[1] += (uint32_t)(block[1] * x);
        target[2] += (uint32_t)(block[2] * x);
        target[3] += (uint32_t)(block[3] * x);
      }
      offset += count;
      value += 4 * count;
    }
    for (uint32_t row = 0; row < weights->rows; ++row) {
      *out++ = sparsesep_finish_row(&rows, row, acc[row]);
    }
  }
}
