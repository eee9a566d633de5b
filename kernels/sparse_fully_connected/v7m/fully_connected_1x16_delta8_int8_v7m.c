// 1x16 blocks, uint8 steps, int8 values: Armv7-M.
//
// 3.8 instructions a weight: input, weight, mla, and 13 for each block's step
// and loops.
#include "common/isa.h"
#include "sparse_fully_connected/row_groups.h"
#include "sparse_fully_connected/v7m/v7m.h"
#include "sparse_fully_connected/variants.h"

#if SPARSESEP_HAS_V7M

// clang-format off

#define INPUT_AND_WEIGHT            \
  "  ldrsb %[a], [%[x]], #1\n"      \
  SPARSESEP_V7M_WEIGHT("sum", "a")

static void multiply(SparsesepRowStreams* streams, const int8_t* vector,
                     uint32_t groups, uint32_t* acc) {
  const uint8_t* step = streams->index;
  const int8_t* value = streams->value;
  for (; groups > 0; --groups) {
    const uint8_t* const end = step + *streams->counts++;
    const int8_t* x = vector;
    uint32_t sum = 0;
    int32_t quads, a, w;
    __asm__ volatile(
        "  b     3f\n"
        "1:\n"
        "  ldrb  %[a], [%[step]], #1\n"
        "  add   %[x], %[x], %[a], lsl #4\n"
        "  movs  %[quads], #4\n"
        "2:\n"
        INPUT_AND_WEIGHT
        INPUT_AND_WEIGHT
        INPUT_AND_WEIGHT
        INPUT_AND_WEIGHT
        "  subs  %[quads], %[quads], #1\n"
        "  bne   2b\n"
        "  sub   %[x], %[x], #16\n"
        "3:\n"
        "  cmp   %[step], %[end]\n"
        "  bne   1b\n"
        : [step] "+r"(step), [value] "+r"(value), [x] "+r"(x),
          [sum] "+r"(sum), [quads] "=&l"(quads), [a] "=&r"(a), [w] "=&r"(w)
        : [end] "r"(end)
        : "cc", "memory");
    *acc++ = sum;
  }
  streams->index = step;
  streams->value = value;
}

// clang-format on

SPARSESEP_KERNEL(1x16_delta8_int8, v7m, sparsesep_run_row_groups, multiply)

#endif
