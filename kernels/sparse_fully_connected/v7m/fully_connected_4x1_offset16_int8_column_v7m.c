// 4x1 blocks, column after column, uint16 offsets, int8 values: Armv7-M.
//
// 3.5 instructions a weight: weight, mla, and 6 for each block's sums and loop.
#include "common/isa.h"
#include "sparse_fully_connected/columns.h"
#include "sparse_fully_connected/variants.h"

#if SPARSESEP_HAS_V7M

// clang-format off

#define WEIGHT(acc)                            \
  "  ldrsb %[w], [%[value]], #1\n"             \
  "  mla   " acc ", %[w], %[x], " acc "\n"

static void multiply(const SparsesepColumnStreams* streams,
                     const int8_t* vector, uint32_t cols,
                     int32_t input_zero_point, uint32_t* acc) {
  const uint16_t* counts = streams->counts;
  const uint16_t* offset = streams->index;
  const int8_t* value = streams->value;
  for (; cols > 0; --cols) {
    const int32_t x = *vector++ - input_zero_point;
    const uint32_t count = *counts++;
    const uint16_t* const end = offset + count;
    if (x == 0) {
      value += 4 * count;
      offset = end;
      continue;
    }
    uint32_t* sums;
    int32_t w;
    __asm__ volatile(
        "  b     2f\n"
        "1:\n"
        "  ldrh  %[sums], [%[offset]], #2\n"
        "  add   %[sums], %[sums], %[acc]\n"
        "  ldm   %[sums], {r8-r11}\n"
        WEIGHT("r8")
        WEIGHT("r9")
        WEIGHT("r10")
        WEIGHT("r11")
        "  stm   %[sums], {r8-r11}\n"
        "2:\n"
        "  cmp   %[offset], %[end]\n"
        "  bne   1b\n"
        : [offset] "+r"(offset), [value] "+r"(value), [sums] "=&r"(sums),
          [w] "=&r"(w)
        : [x] "r"(x), [end] "r"(end), [acc] "r"(acc)
        : "r8", "r9", "r10", "r11", "cc", "memory");
  }
}

// clang-format on

SPARSESEP_KERNEL(4x1_offset16_int8_column, v7m, sparsesep_run_columns, multiply)

#endif
