// 1x1 blocks, 4-bit gaps, int8 values: Armv6-M.
//
// 11.5 instructions a nonzero, and 6.5 for each gap of 15: byte and loop 2,
// gap, check and branch 5 (one less for high nibbles), input, weight, next,
// multiply, add.
#include "common/isa.h"
#include "sparse_fully_connected/row_groups.h"
#include "sparse_fully_connected/v6m/v6m.h"
#include "sparse_fully_connected/variants.h"

#if SPARSESEP_HAS_V6M

// clang-format off

#define LOW_GAP                   \
  "  ldrb  r1, [r0]\n"            \
  "  adds  r0, #1\n"              \
  "  lsls  r4, r1, #28\n"         \
  "  lsrs  r4, r4, #28\n"         \
  "  adds  r2, r2, r4\n"          \
  "  cmp   r4, #15\n"

#define HIGH_GAP                  \
  "  lsrs  r4, r1, #4\n"          \
  "  adds  r2, r2, r4\n"          \
  "  cmp   r4, #15\n"

#define NONZERO                   \
  "  ldrsb r4, [r2, r3]\n"        \
  "  ldrsb r5, [r6, r3]\n"        \
  "  adds  r3, #1\n"              \
  "  muls  r4, r5, r4\n"          \
  "  add   r8, r4\n"

// r0 gaps, r1 byte, r2 vector + gaps so far, r3 nonzeros so far, r4 input,
// r5 weight, r6 value, r7 counts; r8 sum, r9 vector, r10 groups, r11 acc,
// r12 number of the last nonzero, lr streams.
//
// A byte brings two gaps. While two nonzeros or more are left, there is no need
// to look at their number in between.
SPARSESEP_NAKED_MULTIPLY {
  __asm__ volatile(
      SPARSESEP_V6M_ENTER
      "  mov   lr, r0\n"
      "  mov   r9, r1\n"
      "  mov   r10, r2\n"
      "  mov   r11, r3\n"
      "  ldr   r7, [r0, #0]\n"
      "  ldr   r6, [r0, #8]\n"
      "  ldr   r0, [r0, #4]\n"
      "1:\n"
      "  ldrh  r4, [r7]\n"
      "  adds  r7, #2\n"
      "  subs  r4, #1\n"
      "  mov   r12, r4\n"
      "  mov   r2, r9\n"
      "  movs  r3, #0\n"
      "  mov   r8, r3\n"
      "  b     4f\n"
      "2:\n"
      LOW_GAP
      "  beq   3f\n"
      NONZERO
      "3:\n"
      HIGH_GAP
      "  beq   4f\n"
      NONZERO
      "4:\n"
      "  cmp   r3, r12\n"
      "  blt   2b\n"
      "  bgt   7f\n"
      // One nonzero is left, and the gap before it starts a byte.
      "5:\n"
      LOW_GAP
      "  bne   6f\n"
      HIGH_GAP
      "  beq   5b\n"
      "6:\n"
      NONZERO
      "7:\n"
      "  adds  r6, r6, r3\n"
      "  mov   r4, r8\n"
      "  mov   r5, r11\n"
      "  stmia r5!, {r4}\n"
      "  mov   r11, r5\n"
      "  mov   r5, r10\n"
      "  subs  r5, #1\n"
      "  mov   r10, r5\n"
      "  bne   1b\n"
      "  mov   r3, lr\n"
      "  str   r7, [r3, #0]\n"
      "  str   r0, [r3, #4]\n"
      "  str   r6, [r3, #8]\n"
      SPARSESEP_V6M_LEAVE);
}

// clang-format on

SPARSESEP_KERNEL(1x1_gap4_int8, v6m, sparsesep_run_row_groups, multiply)

#endif
