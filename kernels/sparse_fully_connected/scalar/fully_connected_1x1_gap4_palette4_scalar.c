// 1x1 blocks, 4-bit gaps, values out of a palette of 16: any core.
#include "sparse_fully_connected/gap4.h"
#include "sparse_fully_connected/row_groups.h"
#include "sparse_fully_connected/variants.h"

static void multiply(SparsesepRowStreams* streams, const int8_t* vector,
                     uint32_t groups, uint32_t* acc) {
  const uint8_t* gaps = streams->index;
  const uint8_t* codes = streams->value;
  const int8_t* palette =
      sparsesep_section(streams->weights, streams->weights->palette_offset);
  for (; groups > 0; --groups) {
    const uint32_t count = *streams->counts++;
    uint32_t sum = 0;
    uint32_t nibbles = 0;
    const int8_t* x = vector;
    for (uint32_t i = 0; i < count; ++i) {
      x += sparsesep_next_gap(gaps, &nibbles);
      const int32_t weight = palette[codes[i / 2] >> (i % 2 * 4) & 15];
      sum += (uint32_t)(weight * *x++);
    }
    gaps += (nibbles + 1) / 2;
    codes += (count + 1) / 2;
    *acc++ = sum;
  }
  streams->index = gaps;
  streams->value = codes;
}

SPARSESEP_KERNEL(1x1_gap4_palette4, scalar, sparsesep_run_row_groups, multiply)
