// A row of 4-bit gaps and int8 values, for Armv7-M and, where vectors are left
// of a batch, for the DSP extension.
//
// 8 instructions a nonzero, and 6 for each gap of 15: byte and loop 1.5, gap,
// check, branch, add, input, weight, mla (one less for high nibbles).
#ifndef SPARSESEP_SPARSE_FULLY_CONNECTED_V7M_GAP4_ROW_V7M_H_
#define SPARSESEP_SPARSE_FULLY_CONNECTED_V7M_GAP4_ROW_V7M_H_

#include <stdint.h>

#include "sparse_fully_connected/v7m/v7m.h"

// clang-format off

// Returns the next `count` weights times the vector at `x`, and advances both
// streams. A byte brings two gaps. While two nonzeros or more are left, there is
// no need to look at their number in between; `last` is where the last weight
// sits.
static inline uint32_t sparsesep_gap4_row_v7m(const uint8_t** gaps,
                                              const int8_t** value,
                                              const int8_t* x,
                                              uint32_t count) {
  const int8_t* const last = *value + count - 1;
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
      : [gaps] "+r"(*gaps), [value] "+r"(*value), [x] "+r"(x),
        [sum] "+r"(sum), [byte] "=&r"(byte), [a] "=&r"(a), [w] "=&r"(w)
      : [last] "r"(last)
      : "cc", "memory");
  return sum;
}

// clang-format on

#endif  // SPARSESEP_SPARSE_FULLY_CONNECTED_V7M_GAP4_ROW_V7M_H_
