// 1x1 blocks, 4-bit gaps, values out of a palette of 16: any core.
#include "gap4.h"
#include "rows.h"
#include "variants.h"

void sparsesep_fully_connected_1x1_gap4_palette4_scalar(
    const SparsesepPackedHeader* weights,
    const SparsesepFullyConnectedParams* params, const void* input,
    int32_t batch, void* output, void* scratch) {
  (void)scratch;
  const SparsesepRows rows = sparsesep_rows(weights, params);
  const uint16_t* counts = sparsesep_section(weights, weights->counts_offset);
  const int8_t* palette = sparsesep_section(weights, weights->palette_offset);
  const int8_t* vector = input;
  int8_t* out = output;

  for (; batch > 0; --batch, vector += weights->cols) {
    const uint8_t* gaps = sparsesep_section(weights, weights->index_offset);
    const uint8_t* codes = sparsesep_section(weights, weights->value_offset);
    for (uint32_t row = 0; row < weights->rows; ++row) {
      const int8_t* x = vector;
      uint32_t acc = (uint32_t)rows.bias[row];
      uint32_t nibbles = 0;
      const uint32_t count = counts[row];
      for (uint32_t i = 0; i < count; ++i) {
        x += sparsesep_next_gap(gaps, &nibbles);
        const int32_t weight = palette[codes[i / 2] >> (i % 2 * 4) & 15];
        acc += (uint32_t)(weight * *x++);
      }
      gaps += (nibbles + 1) / 2;
      codes += (count + 1) / 2;
      *out++ = sparsesep_finish_row(&rows, row, acc);
    }
  }
}
