// 1x1 blocks, uint8 steps, int8 values: Armv6-M.
//
// 7 instructions a nonzero: step, add, input, 1.5 for the weight, multiply,
// add, and 4 for 8 rounds.
#include "common/isa.h"
#include "sparse_fully_connected/v6m/two_vectors_v6m.h"
#include "sparse_fully_connected/variants.h"

#if SPARSESEP_HAS_V6M

// clang-format off

// One nonzero; the weight is in `W`.
#define NONZERO(STEP, W)               \
  "  ldrb  r3, [r7, #" STEP "]\n"      \
  "  adds  r0, r0, r3\n"               \
  "  ldrsb r3, [r1, r0]\n"             \
  "  muls  r3, " W ", r3\n"            \
  "  add   r8, r3\n"

// A word brings four weights: rev16 swaps neighbors, so that the inner ones
// are as close at hand as the outer ones.
#define FOUR_NONZEROS                  \
  "  ldmia r6!, {r4}\n"                \
  "  sxtb  r2, r4\n"                   \
  NONZERO("0", "r2")                   \
  "  rev16 r5, r4\n"                   \
  "  sxtb  r2, r5\n"                   \
  NONZERO("1", "r2")                   \
  "  asrs  r5, r5, #24\n"              \
  NONZERO("2", "r5")                   \
  "  asrs  r4, r4, #24\n"              \
  NONZERO("3", "r4")                   \
  "  adds  r7, #4\n"

// r0 column, r1 vector, r2 weight, r3 input, r4 and r5 weights, r6 value,
// r7 steps; r8 sum, r9 counts, r10 groups, r11 acc, r12 where the steps of the
// row end, lr streams.
//
// Counts are multiples of 4: where one is no multiple of 8, the first round
// enters halfway.
SPARSESEP_NAKED_MULTIPLY {
  __asm__ volatile(
      SPARSESEP_V6M_ENTER
      "  mov   lr, r0\n"
      "  mov   r10, r2\n"
      "  mov   r11, r3\n"
      "  ldr   r7, [r0, #4]\n"
      "  ldr   r6, [r0, #8]\n"
      "  ldr   r2, [r0, #0]\n"
      "1:\n"
      "  ldrh  r3, [r2]\n"
      "  adds  r2, #2\n"
      "  mov   r9, r2\n"
      "  adds  r4, r7, r3\n"
      "  mov   r12, r4\n"
      "  movs  r0, #0\n"
      "  mov   r8, r0\n"
      "  lsrs  r3, r3, #3\n"
      "  bcs   3f\n"
      "  beq   4f\n"
      "2:\n"
      FOUR_NONZEROS
      "3:\n"
      FOUR_NONZEROS
      "  cmp   r7, r12\n"
      "  bne   2b\n"
      "4:\n"
      "  mov   r4, r8\n"
      "  mov   r5, r11\n"
      "  stmia r5!, {r4}\n"
      "  mov   r11, r5\n"
      "  mov   r2, r9\n"
      "  mov   r5, r10\n"
      "  subs  r5, #1\n"
      "  mov   r10, r5\n"
      "  bne   1b\n"
      "  mov   r0, lr\n"
      "  str   r2, [r0, #0]\n"
      "  str   r7, [r0, #4]\n"
      "  str   r6, [r0, #8]\n"
      SPARSESEP_V6M_LEAVE);
}

// Two vectors at once: 5.13 instructions a nonzero and vector.
#define TWO(STEP) \
  SPARSESEP_V6M_TWO("  ldrb  r3, [r7, #" STEP "]\n  adds  r0, r0, r3\n")
#define TWO_BY_FOUR          \
  "  ldmia r6!, {r4}\n"      \
  "  sxtb  r2, r4\n"         \
  TWO("0")                   \
  "  rev16 r4, r4\n"         \
  "  sxtb  r2, r4\n"         \
  TWO("1")                   \
  "  asrs  r2, r4, #24\n"    \
  TWO("2")                   \
  "  lsls  r4, r4, #8\n"     \
  "  asrs  r2, r4, #24\n"    \
  TWO("3")                   \
  "  adds  r7, #4\n"
SPARSESEP_V6M_MULTIPLY_TWO(TWO_BY_FOUR, "  adds  r2, r3, r7\n")

// clang-format on

SPARSESEP_KERNEL(1x1_delta8_int8, v6m, sparsesep_run_two_vectors_v6m, multiply,
                 multiply_two)

#endif
