// The plain C kernel of row-major int8 blocks with uint8 steps, for any block
// shape: each file that includes this names one shape.
#ifndef SPARSESEP_FULLY_CONNECTED_DELTA8_BLOCKS_H_
#define SPARSESEP_FULLY_CONNECTED_DELTA8_BLOCKS_H_

#include "padded_vector.h"
#include "rows.h"

static inline void sparsesep_delta8_blocks(
    const SparsesepPackedHeader* weights,
    const SparsesepFullyConnectedParams* params, const void* input,
    int32_t batch, void* output, void* scratch, uint32_t block_rows,
    uint32_t block_cols) {
  const SparsesepRows rows = sparsesep_rows(weights, params);
  const int8_t* vector = input;
  int8_t* out = output;

  for (; batch > 0; --batch, vector += weights->cols) {
    const int8_t* start = sparsesep_padded_vector(weights, vector, scratch);
    const uint16_t* counts = sparsesep_section(weights, weights->counts_offset);
    const uint8_t* delta = sparsesep_section(weights, weights->index_offset);
    const int8_t* value = sparsesep_section(weights, weights->value_offset);
    for (uint32_t row = 0; row < weights->rows; row += block_rows) {
      uint32_t acc[4] = {0};
      const int8_t* x = start;
      for (uint32_t n = *counts++; n > 0; --n) {
        x += *delta++ * block_cols;
        for (uint32_t r = 0; r < block_rows; ++r) {
          for (uint32_t c = 0; c < block_cols; ++c) {
            acc[r] += (uint32_t)(*value++ * x[c]);
          }
        }
      }
      for (uint32_t r = 0; r < block_rows && row + r < weights->rows; ++r) {
        acc[r] += (uint32_t)rows.bias[row + r];
        *out++ = sparsesep_finish_row(&rows, row + r, acc[r]);
      }
    }
  }
}

#endif  // SPARSESEP_FULLY_CONNECTED_DELTA8_BLOCKS_H_
