// 4x1 blocks, column after column, uint16 offsets, int8 values: any core.
#include "sparse_fully_connected/columns.h"
#include "sparse_fully_connected/variants.h"

static void multiply(const SparsesepColumnStreams* streams,
                     const int8_t* vector, uint32_t cols,
                     int32_t input_zero_point, uint32_t* acc) {
  const uint16_t* offset = streams->index;
  const int8_t* value = streams->value;
  for (uint32_t col = 0; col < cols; ++col) {
    const int32_t x = vector[col] - input_zero_point;
    const uint16_t* const end = offset + streams->counts[col];
    if (x == 0) {
      value += 4 * (end - offset);
      offset = end;
      continue;
    }
    for (; offset < end; ++offset, value += 4) {
      uint32_t* sums = acc + *offset / 4;
      sums[0] += (uint32_t)(value[0] * x);
      sums[1] += (uint32_t)(value[1] * x);
      sums[2] += (uint32_t)(value[2] * x);
      sums[3] += (uint32_t)(value[3] * x);
    }
  }
}

SPARSESEP_KERNEL(4x1_offset16_int8_column, scalar, sparsesep_run_columns,
                 multiply)
