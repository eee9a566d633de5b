// 4x1 blocks in pairs, uint8 steps, int8 values: any core.
#include "sparse_fully_connected/row_groups.h"
#include "sparse_fully_connected/variants.h"

static void multiply(SparsesepRowStreams* streams, const int8_t* vector,
                     uint32_t groups, uint32_t* acc) {
  const uint8_t* step = streams->index;
  const int8_t* value = streams->value;
  for (; groups > 0; --groups, acc += 4) {
    uint32_t sums[4] = {0};
    const int8_t* x = vector;
    for (uint32_t n = *streams->counts++; n > 0; n -= 2) {
      x += step[0];
      const int32_t a = *x;
      x += step[1];
      const int32_t b = *x;
      sums[0] += (uint32_t)(value[0] * a + value[2] * b);
      sums[1] += (uint32_t)(value[1] * a + value[3] * b);
      sums[2] += (uint32_t)(value[4] * a + value[6] * b);
      sums[3] += (uint32_t)(value[5] * a + value[7] * b);
      step += 2;
      value += 8;
    }
    for (uint32_t r = 0; r < 4; ++r) acc[r] = sums[r];
  }
  streams->index = step;
  streams->value = value;
}

SPARSESEP_KERNEL(4x1_delta8_int8, scalar, sparsesep_run_row_groups, multiply)
