// 1x1 blocks, uint8 steps, int8 values: any core.
#include "rows.h"
#include "variants.h"

void sparsesep_fully_connected_1x1_delta8_int8_scalar(
    const SparsesepPackedHeader* weights,
    const SparsesepFullyConnectedParams* params, const void* input,
    int32_t batch, void* output, void* scratch) {
  (void)scratch;
  const SparsesepRows rows = sparsesep_rows(weights, params);
  const uint16_t* counts = sparsesep_section(weights, weights->counts_offset);
  const int8_t* vector = input;
  int8_t* out = output;

  for (; batch > 0; --batch, vector += weights->cols) {
    const uint8_t* delta = sparsesep_section(weights, weights->index_offset);
    const int8_t* value = sparsesep_section(weights, weights->value_offset);
    for (uint32_t row = 0; row < weights->rows; ++row) {
      const int8_t* x = vector;
      // Unsigned, so that an accumulator which overflows wraps as in TFLite.
      uint32_t acc = (uint32_t)rows.bias[row];
      for (uint32_t n = counts[row]; n > 0; n -= 4, delta += 4, value += 4) {
        x += delta[0];
        acc += (uint32_t)(value[0] * *x);
        x += delta[1];
        acc += (uint32_t)(value[1] * *x);
        x += delta[2];
        acc += (uint32_t)(value[2] * *x);
        x += delta[3];
        acc += (uint32_t)(value[3] * *x);
      }
      *out++ = sparsesep_finish_row(&rows, row, acc);
    }
  }
}
