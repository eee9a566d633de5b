// 1x1 blocks, one bit for each column, int8 values: any core.
#include "rows.h"
#include "variants.h"

void sparsesep_fully_connected_1x1_bitmap_int8_scalar(
    const SparsesepPackedHeader* weights,
    const SparsesepFullyConnectedParams* params, const void* input,
    int32_t batch, void* output, void* scratch) {
  (void)scratch;
  const SparsesepRows rows = sparsesep_rows(weights, params);
  const int8_t* vector = input;
  int8_t* out = output;

  for (; batch > 0; --batch, vector += weights->cols) {
    const uint8_t* bitmap = sparsesep_section(weights, weights->index_offset);
    const int8_t* value = sparsesep_section(weights, weights->value_offset);
    for (uint32_t row = 0; row < weights->rows; ++row) {
      uint32_t acc = (uint32_t)rows.bias[row];
      for (uint32_t col = 0; col < weights->cols; col += 8) {
        const int8_t* x = vector + col;
        for (uint32_t bits = *bitmap++; bits != 0; bits >>= 1, ++x) {
          if (bits & 1) acc += (uint32_t)(*value++ * *x);
        }
      }
      *out++ = sparsesep_finish_row(&rows, row, acc);
    }
  }
}
