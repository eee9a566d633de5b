// 4x4 blocks, column after column, uint8 steps, int8 values woven: any core.
#include "sparse_fully_connected/columns.h"
#include "sparse_fully_connected/scalar/woven.h"
#include "sparse_fully_connected/variants.h"

static void multiply(const SparsesepColumnStreams* streams,
                     const int8_t* vector, uint32_t cols,
                     int32_t input_zero_point, uint32_t* acc) {
  const uint16_t* counts = streams->counts;
  const uint8_t* step = streams->index;
  const int8_t* value = streams->value;
  for (uint32_t col = 0; col < cols; col += 4) {
    uint32_t* sums = acc;
    // Weights of columns behind the last one are zeros.
    int32_t x[4] = {0};
    for (uint32_t i = 0; i < 4 && col + i < cols; ++i) {
      x[i] = vector[col + i] - input_zero_point;
    }
    for (uint32_t n = *counts++; n > 0; --n, value += 16) {
      sums += *step++ * 4;
      sparsesep_add_woven_block(value, 4, x, sums);
    }
  }
}

void sparsesep_fully_connected_4x4_delta8_int8_woven_column_scalar(
    const SparsesepPackedHeader* weights,
    const SparsesepFullyConnectedParams* params, const void* input,
    int32_t batch, void* output, void* scratch) {
  sparsesep_run_columns(weights, params, input, batch, output, scratch,
                        multiply);
}
