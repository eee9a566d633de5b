// 1x1 blocks, 4-bit gaps, int8 values: Armv7-M.
//
// 8 instructions a nonzero, and 6 for each gap of 15: byte and loop 1.5, gap,
// check, branch, add, input, weight, mla (one less for high nibbles).
#include "common/isa.h"
#include "sparse_fully_connected/row_groups.h"
#include "sparse_fully_connected/v7m/v7m.h"
#include "sparse_fully_connected/variants.h"

#if SPARSESEP_HAS_V7M

// clang-format off

// A byte brings two gaps. While two nonzeros or more are left, there is no need
// to look at their number in between; `last` is where the last weight sits.
static void multiply(SparsesepRowStreams* streams, const int8_t* vector,
                     uint32_t groups, uint32_t* acc) {
  const uint8_t* gaps = streams->index;
  const int8_t* value = streams->value;
  for (; groups > 0; --groups) {
    const int8_t* const last = value + *streams->counts++ - 1;
    const int8_t* x = vector;
    uint32_t sum = 0;
    int32_t byte, a, w;
    __asm__ volatile(
        "  b     4f\n"
        "1:\n"
        "  ldrb  %[byte], [%[gaps]], #1\n"
        "  and   %[a], %[byte], #15\n"
        "  add   %[x], %[x], %[a]\n"
        "  cmp   %[a], #15\n"
        "  beq   2f\n"
        "  ldrsb %[a], [%[x]], #1\n"
        SPARSESEP_V7M_WEIGHT("sum", "a")
        "2:\n"
        "  add   %[x], %[x], %[byte], lsr #4\n"
        "  cmp   %[byte], #0xf0\n"
        "  bhs   4f\n"
        "  ldrsb %[a], [%[x]], #1\n"
        SPARSESEP_V7M_WEIGHT("sum", "a")
        "4:\n"
        "  cmp   %[value], %[last]\n"
        "  blo   1b\n"
        "  bhi   7f\n"
        // One nonzero is left, and the gap before it starts a byte.
        "5:\n"
        "  ldrb  %[byte], [%[gaps]], #1\n"
        "  and   %[a], %[byte], #15\n"
        "  add   %[x], %[x], %[a]\n"
        "  cmp   %[a], #15\n"
        "  bne   6f\n"
        "  add   %[x], %[x], %[byte], lsr #4\n"
        "  cmp   %[byte], #0xf0\n"
        "  bhs   5b\n"
        "6:\n"
        "  ldrsb %[a], [%[x]]\n"
        SPARSESEP_V7M_WEIGHT("sum", "a")
        "7:\n"
        : [gaps] "+r"(gaps), [value] "+r"(value), [x] "+r"(x),
          [sum] "+r"(sum), [byte] "=&r"(byte), [a] "=&r"(a), [w] "=&r"(w)
        : [last] "r"(last)
        : "cc", "memory");
    *acc++ = sum;
  }
  streams->index = gaps;
  streams->value = value;
}

// clang-format on

SPARSESEP_KERNEL(1x1_gap4_int8, v7m, sparsesep_run_row_groups, multiply)

#endif
