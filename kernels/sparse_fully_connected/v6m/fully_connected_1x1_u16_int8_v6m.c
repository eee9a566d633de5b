// 1x1 blocks, uint16 columns, int8 values: Armv6-M.
//
// 6 instructions a nonzero: column, input, 1.5 for the weight, multiply, add,
// and 4 for 8 rounds.
#include "common/isa.h"
#include "sparse_fully_connected/v6m/two_vectors_v6m.h"
#include "sparse_fully_connected/variants.h"

#if SPARSESEP_HAS_V6M

// clang-format off

// One nonzero; the weight is in `W`.
#define NONZERO(COLUMN, W)             \
  "  ldrh  r5, [r0, #" COLUMN "]\n"    \
  "  ldrsb r5, [r1, r5]\n"             \
  "  muls  r5, " W ", r5\n"            \
  "  adds  r3, r3, r5\n"

// A word brings four weights: its outer bytes come first, then, with neighbors
// swapped by rev16, the inner ones.
#define FOUR_NONZEROS                  \
  "  ldmia r2!, {r4}\n"                \
  "  sxtb  r6, r4\n"                   \
  NONZERO("0", "r6")                   \
  "  asrs  r6, r4, #24\n"              \
  NONZERO("6", "r6")                   \
  "  rev16 r4, r4\n"                   \
  "  sxtb  r6, r4\n"                   \
  NONZERO("2", "r6")                   \
  "  asrs  r4, r4, #24\n"              \
  NONZERO("4", "r4")                   \
  "  adds  r0, #8\n"

// r0 column, r1 vector, r2 value, r3 sum, r7 counts; r4 weights, r5 input,
// r6 weight; r8 where the columns of the row end, r9 acc, r10 groups,
// r12 streams.
//
// Counts are multiples of 4: where one is no multiple of 8, the first round
// enters halfway.
SPARSESEP_NAKED_MULTIPLY {
  __asm__ volatile(
      SPARSESEP_V6M_ENTER
      "  mov   r12, r0\n"
      "  mov   r10, r2\n"
      "  mov   r9, r3\n"
      "  ldr   r7, [r0, #0]\n"
      "  ldr   r2, [r0, #8]\n"
      "  ldr   r0, [r0, #4]\n"
      "1:\n"
      "  ldrh  r4, [r7]\n"
      "  adds  r7, #2\n"
      "  movs  r3, #0\n"
      "  lsls  r5, r4, #1\n"
      "  adds  r5, r5, r0\n"
      "  mov   r8, r5\n"
      "  lsrs  r4, r4, #3\n"
      "  bcs   3f\n"
      "  beq   4f\n"
      "2:\n"
      FOUR_NONZEROS
      "3:\n"
      FOUR_NONZEROS
      "  cmp   r0, r8\n"
      "  bne   2b\n"
      "4:\n"
      "  mov   r5, r9\n"
      "  stmia r5!, {r3}\n"
      "  mov   r9, r5\n"
      "  mov   r5, r10\n"
      "  subs  r5, #1\n"
      "  mov   r10, r5\n"
      "  bne   1b\n"
      "  mov   r3, r12\n"
      "  str   r7, [r3, #0]\n"
      "  str   r0, [r3, #4]\n"
      "  str   r2, [r3, #8]\n"
      SPARSESEP_V6M_LEAVE);
}

// Two vectors at once: 4.5 instructions a nonzero and vector.
#define TWO(COLUMN) SPARSESEP_V6M_TWO("  ldrh  r0, [r7, #" COLUMN "]\n")
#define TWO_BY_FOUR          \
  "  ldmia r6!, {r4}\n"      \
  "  sxtb  r2, r4\n"         \
  TWO("0")                   \
  "  asrs  r2, r4, #24\n"    \
  TWO("6")                   \
  "  rev16 r4, r4\n"         \
  "  sxtb  r2, r4\n"         \
  TWO("2")                   \
  "  asrs  r2, r4, #24\n"    \
  TWO("4")                   \
  "  adds  r7, #8\n"
SPARSESEP_V6M_MULTIPLY_TWO(TWO_BY_FOUR, "  lsls  r2, r3, #1\n  add   r2, r7\n")

// clang-format on

SPARSESEP_KERNEL(1x1_u16_int8, v6m, sparsesep_run_two_vectors_v6m, multiply,
                 multiply_two)

#endif
