// 1x1 blocks, 4-bit gaps, values out of a palette of 16: Armv6-M.
//
// 15 instructions a nonzero, and 6 for each gap of 15.
#include <stddef.h>

#include "common/isa.h"
#include "sparse_fully_connected/row_groups.h"
#include "sparse_fully_connected/v6m/v6m.h"
#include "sparse_fully_connected/variants.h"

#if SPARSESEP_HAS_V6M

_Static_assert(offsetof(SparsesepPackedHeader, palette_offset) == 56,
               "read by number below");

// clang-format off

// Gaps and codes come two a byte, and escapes let one run ahead of the other:
// each of the four combinations has its own piece of code. In names, L and H
// are low and high nibbles, first of the gap, then of the code.
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

#define LOW_CODE                  \
  "  mov   r5, r9\n"              \
  "  ldrb  r7, [r5]\n"            \
  "  adds  r5, #1\n"              \
  "  mov   r9, r5\n"              \
  "  lsls  r5, r7, #28\n"         \
  "  lsrs  r5, r5, #28\n"

#define HIGH_CODE                 \
  "  lsrs  r5, r7, #4\n"

#define NONZERO                   \
  "  ldrsb r4, [r2, r3]\n"        \
  "  ldrsb r5, [r6, r5]\n"        \
  "  muls  r4, r5, r4\n"          \
  "  add   r8, r4\n"              \
  "  adds  r3, #1\n"

// r0 gaps, r1 byte of gaps, r2 vector + gaps so far + count, r3 minus the
// nonzeros left, r4 input, r5 weight, r6 palette, r7 byte of codes; r8 sum,
// r9 codes, r10 groups, r11 acc, r12 counts, lr vector; on the stack: streams.
SPARSESEP_NAKED_MULTIPLY {
  __asm__ volatile(
      SPARSESEP_V6M_ENTER
      "  push  {r0}\n"
      "  mov   lr, r1\n"
      "  mov   r10, r2\n"
      "  mov   r11, r3\n"
      "  ldr   r4, [r0, #12]\n"
      "  ldr   r6, [r4, #56]\n"
      "  adds  r6, r6, r4\n"
      "  ldr   r4, [r0, #8]\n"
      "  mov   r9, r4\n"
      "  ldr   r4, [r0, #0]\n"
      "  mov   r12, r4\n"
      "  ldr   r0, [r0, #4]\n"
      "1:\n"
      "  mov   r4, r12\n"
      "  ldrh  r2, [r4]\n"
      "  adds  r4, #2\n"
      "  mov   r12, r4\n"
      "  movs  r3, #0\n"
      "  mov   r8, r3\n"
      "  subs  r3, r3, r2\n"
      "  beq   6f\n"
      "  add   r2, lr\n"
      "2:\n"  // LL
      LOW_GAP
      "  beq   5f\n"
      LOW_CODE
      NONZERO
      "  beq   6f\n"
      "3:\n"  // HH
      HIGH_GAP
      "  beq   4f\n"
      HIGH_CODE
      NONZERO
      "  bne   2b\n"
      "  b     6f\n"
      "4:\n"  // LH
      LOW_GAP
      "  beq   3b\n"
      HIGH_CODE
      NONZERO
      "  beq   6f\n"
      "5:\n"  // HL
      HIGH_GAP
      "  beq   2b\n"
      LOW_CODE
      NONZERO
      "  bne   4b\n"
      "6:\n"
      "  mov   r4, r8\n"
      "  mov   r5, r11\n"
      "  stmia r5!, {r4}\n"
      "  mov   r11, r5\n"
      "  mov   r5, r10\n"
      "  subs  r5, #1\n"
      "  mov   r10, r5\n"
      "  bne   1b\n"
      "  pop   {r3}\n"
      "  mov   r4, r12\n"
      "  str   r4, [r3, #0]\n"
      "  str   r0, [r3, #4]\n"
      "  mov   r4, r9\n"
      "  str   r4, [r3, #8]\n"
      SPARSESEP_V6M_LEAVE);
}

// clang-format on

SPARSESEP_KERNEL(1x1_gap4_palette4, v6m, sparsesep_run_row_groups, multiply)

#endif
