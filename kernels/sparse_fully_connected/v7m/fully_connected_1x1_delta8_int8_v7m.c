// 1x1 blocks, uint8 steps, int8 values: Armv7-M.
//
// 5.25 instructions a nonzero: step, add, input, weight, mla, and 2 for 8
// rounds.
#include "common/isa.h"
#include "sparse_fully_connected/v7m/run_four_vectors_v7m.h"
#include "sparse_fully_connected/v7m/v7m.h"
#include "sparse_fully_connected/variants.h"

#if SPARSESEP_HAS_V7M

// clang-format off

#define NONZERO                          \
  "  ldrb  %[a], [%[step]], #1\n"        \
  "  add   %[column], %[column], %[a]\n" \
  "  ldrsb %[a], [%[x], %[column]]\n"    \
  SPARSESEP_V7M_WEIGHT("sum", "a")

// Counts are multiples of 4: where one is no multiple of 8, the first round
// enters halfway.
static void multiply(SparsesepRowStreams* streams, const int8_t* vector,
                     uint32_t groups, uint32_t* acc) {
  const uint8_t* step = streams->index;
  const int8_t* value = streams->value;
  for (; groups > 0; --groups) {
    const uint32_t count = *streams->counts++;
    uint32_t column = 0;
    uint32_t sum = 0;
    int32_t a, w;
    __asm__ volatile(
        "  tst   %[count], #4\n"
        "  bne   2f\n"
        "  b     3f\n"
        "1:\n"
        NONZERO NONZERO NONZERO NONZERO
        "2:\n"
        NONZERO NONZERO NONZERO NONZERO
        "3:\n"
        "  cmp   %[step], %[end]\n"
        "  bne   1b\n"
        : [step] "+r"(step), [value] "+r"(value), [column] "+l"(column),
          [sum] "+r"(sum), [a] "=&l"(a), [w] "=&r"(w)
        : [x] "l"(vector), [count] "r"(count), [end] "r"(step + count)
        : "cc", "memory");
    *acc++ = sum;
  }
  streams->index = step;
  streams->value = value;
}

// clang-format on

#if SPARSESEP_HAS_FOUR_V7M

// Four vectors at once: 2.88 instructions a nonzero and vector, and 14 a row of
// four vectors.
SPARSESEP_V7M_MULTIPLY_FOUR(
    "  ldrb lr, [r1], #1\n"
    "  add r2, r2, lr\n")

SPARSESEP_KERNEL(1x1_delta8_int8, v7m, sparsesep_run_four_vectors_v7m, multiply,
                 multiply_four)

#else

SPARSESEP_KERNEL(1x1_delta8_int8, v7m, sparsesep_run_row_groups, multiply)

#endif

#endif
