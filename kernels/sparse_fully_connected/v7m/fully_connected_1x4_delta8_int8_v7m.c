// 1x4 blocks, uint8 steps, int8 values: Armv7-M.
//
// 4 instructions a weight: load, mla, and 8 for each block's step, inputs and
// loop.
#include "common/isa.h"
#include "sparse_fully_connected/row_groups.h"
#include "sparse_fully_connected/v7m/v7m.h"
#include "sparse_fully_connected/variants.h"

#if SPARSESEP_HAS_V7M

// clang-format off

static void multiply(SparsesepRowStreams* streams, const int8_t* vector,
                     uint32_t groups, uint32_t* acc) {
  const uint8_t* step = streams->index;
  const int8_t* value = streams->value;
  for (; groups > 0; --groups) {
    const uint8_t* const end = step + *streams->counts++;
    const int8_t* x = vector;
    uint32_t sum = 0;
    int32_t x0, x1, x2, x3, w;
    __asm__ volatile(
        SPARSESEP_V7M_BLOCKS(SPARSESEP_V7M_ROW("sum"))
        : [step] "+r"(step), [value] "+r"(value), [x] "+r"(x), [sum] "+r"(sum),
          [x0] "=&r"(x0), [x1] "=&r"(x1), [x2] "=&r"(x2), [x3] "=&r"(x3),
          [w] "=&r"(w)
        : [end] "r"(end)
        : "cc", "memory");
    *acc++ = sum;
  }
  streams->index = step;
  streams->value = value;
}

// clang-format on

SPARSESEP_KERNEL(1x4_delta8_int8, v7m, sparsesep_run_row_groups, multiply)

#endif
