// 1x1 blocks, 4-bit gaps, int8 values: any core.
#include "sparse_fully_connected/gap4.h"
#include "sparse_fully_connected/row_groups.h"
#include "sparse_fully_connected/variants.h"

static void multiply(SparsesepRowStreams* streams, const int8_t* vector,
                     uint32_t groups, uint32_t* acc) {
  const uint8_t* gaps = streams->index;
  const int8_t* value = streams->value;
  for (; groups > 0; --groups) {
    uint32_t sum = 0;
    uint32_t nibbles = 0;
    const int8_t* x = vector;
    for (uint32_t n = *streams->counts++; n > 0; --n) {
      x += sparsesep_next_gap(gaps, &nibbles);
      sum += (uint32_t)(*value++ * *x++);
    }
    gaps += (nibbles + 1) / 2;
    *acc++ = sum;
  }
  streams->index = gaps;
  streams->value = value;
}

SPARSESEP_KERNEL(1x1_gap4_int8, scalar, sparsesep_run_row_groups, multiply)
