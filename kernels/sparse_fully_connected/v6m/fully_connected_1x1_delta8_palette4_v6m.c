// 1x1 blocks, uint8 steps, values out of a palette of 16: Armv6-M.
//
// 8.75 instructions a nonzero: step, add, input, 3 for the weight, multiply,
// add, and 6 for 8 rounds; 11.5 for those after the last whole four of a row.
#include <stddef.h>

#include "common/isa.h"
#include "sparse_fully_connected/row_groups.h"
#include "sparse_fully_connected/v6m/v6m.h"
#include "sparse_fully_connected/variants.h"

#if SPARSESEP_HAS_V6M

_Static_assert(offsetof(SparsesepPackedHeader, palette_offset) == 56,
               "read by number below");

// clang-format off

// A byte of codes, and the weight of its low one.
#define LOW_WEIGHT(AT)                \
  "  ldrb  r4, [r7, #" AT "]\n"       \
  "  lsls  r5, r4, #28\n"             \
  "  lsrs  r5, r5, #28\n"             \
  "  ldrsb r5, [r2, r5]\n"

#define HIGH_WEIGHT                   \
  "  lsrs  r5, r4, #4\n"              \
  "  ldrsb r5, [r2, r5]\n"

#define NONZERO(STEP)                 \
  "  ldrb  r3, [r6, #" STEP "]\n"     \
  "  adds  r0, r0, r3\n"              \
  "  ldrsb r3, [r1, r0]\n"            \
  "  muls  r3, r5, r3\n"              \
  "  add   r8, r3\n"

#define FOUR_NONZEROS                 \
  LOW_WEIGHT("0")                     \
  NONZERO("0")                        \
  HIGH_WEIGHT                         \
  NONZERO("1")                        \
  LOW_WEIGHT("1")                     \
  NONZERO("2")                        \
  HIGH_WEIGHT                         \
  NONZERO("3")                        \
  "  adds  r7, #2\n"                  \
  "  adds  r6, #4\n"

// r0 column, r1 vector, r2 palette, r3 input, r4 codes, r5 weight, r6 steps,
// r7 where codes are; r8 sum, r9 counts, r10 where acc ends, r11 acc; lr where
// the row ends, r12 before which four of it begin. The streams are on the stack.
SPARSESEP_NAKED_MULTIPLY {
  __asm__ volatile(
      SPARSESEP_V6M_ENTER
      "  push  {r0}\n"
      "  lsls  r2, r2, #2\n"
      "  adds  r2, r2, r3\n"
      "  mov   r10, r2\n"
      "  mov   r11, r3\n"
      "  ldmia r0!, {r5, r6, r7}\n"
      "  mov   r9, r5\n"
      "  ldr   r2, [r0]\n"
      "  ldr   r3, [r2, #56]\n"
      "  adds  r2, r2, r3\n"
      "1:\n"
      "  mov   r5, r9\n"
      "  ldrh  r3, [r5]\n"
      "  adds  r5, #2\n"
      "  mov   r9, r5\n"
      "  adds  r4, r6, r3\n"
      "  mov   lr, r4\n"
      "  subs  r4, #3\n"
      "  mov   r12, r4\n"
      "  movs  r0, #0\n"
      "  mov   r8, r0\n"
      "  lsrs  r3, r3, #3\n"  // an odd number of fours: enter halfway
      "  bcs   3f\n"
      "  beq   4f\n"
      "2:\n"
      FOUR_NONZEROS
      "3:\n"
      FOUR_NONZEROS
      "  cmp   r6, r12\n"
      "  blo   2b\n"
      "4:\n"
      "  cmp   r6, lr\n"
      "  beq   6f\n"
      "5:\n"
      LOW_WEIGHT("0")
      NONZERO("0")
      "  adds  r7, #1\n"
      "  adds  r6, #1\n"
      "  cmp   r6, lr\n"
      "  beq   6f\n"
      HIGH_WEIGHT
      NONZERO("0")
      "  adds  r6, #1\n"
      "  cmp   r6, lr\n"
      "  bne   5b\n"
      "6:\n"
      "  mov   r4, r8\n"
      "  mov   r5, r11\n"
      "  stmia r5!, {r4}\n"
      "  mov   r11, r5\n"
      "  cmp   r5, r10\n"
      "  beq   7f\n"
      "  b     1b\n"
      "7:\n"
      "  mov   r5, r9\n"
      "  pop   {r0}\n"
      "  stmia r0!, {r5, r6, r7}\n"
      SPARSESEP_V6M_LEAVE);
}

// clang-format on

SPARSESEP_KERNEL(1x1_delta8_palette4, v6m, sparsesep_run_row_groups, multiply)

#endif
