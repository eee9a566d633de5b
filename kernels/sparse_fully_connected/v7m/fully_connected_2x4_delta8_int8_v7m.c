// 2x4 blocks, uint8 steps, int8 values: Armv7-M.
//
// 3 instructions a weight: load, mla, and 8 for each block's step, inputs and
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
    uint32_t acc0 = 0, acc1 = 0;
    int32_t x0, x1, x2, x3, w;
    __asm__ volatile(
        SPARSESEP_V7M_BLOCKS(SPARSESEP_V7M_ROW("acc0")
                             SPARSESEP_V7M_ROW("acc1"))
        : [step] "+r"(step), [value] "+r"(value), [x] "+r"(x),
          [acc0] "+r"(acc0), [acc1] "+r"(acc1),
          [x0] "=&r"(x0), [x1] "=&r"(x1), [x2] "=&r"(x2), [x3] "=&r"(x3),
          [w] "=&r"(w)
        : [end] "r"(end)
        : "cc", "memory");
    *acc++ = acc0;
    *acc++ = acc1;
  }
  streams->index = step;
  streams->value = value;
}

// clang-format on

SPARSESEP_KERNEL(2x4_delta8_int8, v7m, sparsesep_run_row_groups, multiply)

#endif
