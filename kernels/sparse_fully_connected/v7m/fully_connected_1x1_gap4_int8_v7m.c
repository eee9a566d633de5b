// 1x1 blocks, 4-bit gaps, int8 values: Armv7-M.
#include "common/isa.h"
#include "sparse_fully_connected/row_groups.h"
#include "sparse_fully_connected/v7m/gap4_row_v7m.h"
#include "sparse_fully_connected/variants.h"

#if SPARSESEP_HAS_V7M

static void multiply(SparsesepRowStreams* streams, const int8_t* vector,
                     uint32_t groups, uint32_t* acc) {
  const uint8_t* gaps = streams->index;
  const int8_t* value = streams->value;
  for (; groups > 0; --groups) {
    *acc++ = sparsesep_gap4_row_v7m(&gaps, &value, vector, *streams->counts++);
  }
  streams->index = gaps;
  streams->value = value;
}

SPARSESEP_KERNEL(1x1_gap4_int8, v7m, sparsesep_run_row_groups, multiply)

#endif
