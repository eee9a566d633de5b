// 1x1 blocks, uint16 columns, int8 values: any core.
#include "sparse_fully_connected/row_groups.h"
#include "sparse_fully_connected/variants.h"

static void multiply(SparsesepRowStreams* streams, const int8_t* vector,
                     uint32_t groups, uint32_t* acc) {
  const uint16_t* column = streams->index;
  const int8_t* value = streams->value;
  for (; groups > 0; --groups) {
    uint32_t sum = 0;
    for (uint32_t n = *streams->counts++; n > 0; n -= 4) {
      sum += (uint32_t)(value[0] * vector[column[0]]);
      sum += (uint32_t)(value[1] * vector[column[1]]);
      sum += (uint32_t)(value[2] * vector[column[2]]);
      sum += (uint32_t)(value[3] * vector[column[3]]);
      column += 4;
      value += 4;
    }
    *acc++ = sum;
  }
  streams->index = column;
  streams->value = value;
}

SPARSESEP_KERNEL(1x1_u16_int8, scalar, sparsesep_run_row_groups, multiply)
