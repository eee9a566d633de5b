// 1x1 blocks, uint8 steps, int8 values: any core.
#include "sparse_fully_connected/row_groups.h"
#include "sparse_fully_connected/variants.h"

static void multiply(SparsesepRowStreams* streams, const int8_t* vector,
                     uint32_t groups, uint32_t* acc) {
  const uint8_t* step = streams->index;
  const int8_t* value = streams->value;
  for (; groups > 0; --groups) {
    uint32_t sum = 0;
    const int8_t* x = vector;
    for (uint32_t n = *streams->counts++; n > 0; n -= 4) {
      x += step[0];
      sum += (uint32_t)(value[0] * *x);
      x += step[1];
      sum += (uint32_t)(value[1] * *x);
      x += step[2];
      sum += (uint32_t)(value[2] * *x);
      x += step[3];
      sum += (uint32_t)(value[3] * *x);
      step += 4;
      value += 4;
    }
    *acc++ = sum;
  }
  streams->index = step;
  streams->value = value;
}

SPARSESEP_KERNEL(1x1_delta8_int8, scalar, sparsesep_run_row_groups, multiply)
