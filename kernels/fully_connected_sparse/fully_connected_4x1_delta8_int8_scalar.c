// 4x1 blocks in pairs, uint8 steps, int8 values: any core.
#include "rows.h"
#include "variants.h"

void sparsesep_fully_connected_4x1_delta8_int8_scalar(
    const SparsesepPackedHeader* weights,
    const SparsesepFullyConnectedParams* params, const void* input,
    int32_t batch, void* output, void* scratch) {
  (void)scratch;
  const SparsesepRows rows = sparsesep_rows(weights, params);
  const int8_t* vector = input;
  int8_t* out = output;

  for (; batch > 0; --batch, vector += weights->cols) {
    const uint16_t* counts = sparsesep_section(weights, weights->counts_offset);
    const uint8_t* delta = sparsesep_section(weights, weights->index_offset);
    const int8_t* value = sparsesep_section(weights, weights->value_offset);
    for (uint32_t row = 0; row < weights->rows; row += 4) {
      uint32_t acc[4] = {0};
      const int8_t* x = vector;
      for (uint32_t n = *counts++; n > 0; n -= 2, delta += 2, value += 8) {
        x += delta[0];
        const int32_t a = *x;
        x += delta[1];
        const int32_t b = *x;
        acc[0] += (uint32_t)(value[0] * a + value[2] * b);
        acc[1] += (uint32_t)(value[1] * a + value[3] * b);
        acc[2] += (uint32_t)(value[4] * a + value[6] * b);
        acc[3] += (uint32_t)(value[5] * a + value[7] * b);
      }
      for (uint32_t r = 0; r < 4 && row + r < weights->rows; ++r) {
        acc[r] += (uint32_t)rows.bias[row + r];
        *out++ = sparsesep_finish_row(&rows, row + r, acc[r]);
      }
    }
  }
}
