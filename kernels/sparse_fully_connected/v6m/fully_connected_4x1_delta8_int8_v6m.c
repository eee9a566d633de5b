// 4x1 blocks in pairs, uint8 steps, int8 values: Armv6-M.
//
// 4.63 instructions a weight: 1.5 for the weight, multiply, add, and 9 for each
// pair's steps, inputs and loop.
#include "common/isa.h"
#include "sparse_fully_connected/row_groups.h"
#include "sparse_fully_connected/v6m/v6m.h"
#include "sparse_fully_connected/variants.h"

#if SPARSESEP_HAS_V6M

// clang-format off

// An input of the pair; r0 is the column, r1 the vector.
#define INPUT(BLOCK_OF_PAIR, X)             \
  "  ldrb  r5, [r7, #" BLOCK_OF_PAIR "]\n" \
  "  adds  r0, r0, r5\n"                   \
  "  ldrsb " X ", [r1, r0]\n"

// Two rows of both blocks a and b: a word brings a0 a1 b0 b1. Its outer bytes
// come first, then, with neighbors swapped by rev16, the inner ones.
#define TWO_ROWS(ACC0, ACC1) \
  "  ldmia r6!, {r4}\n"      \
  "  sxtb  r5, r4\n"         \
  "  muls  r5, r2, r5\n"     \
  "  add   " ACC0 ", r5\n"   \
  "  asrs  r5, r4, #24\n"    \
  "  muls  r5, r3, r5\n"     \
  "  add   " ACC1 ", r5\n"   \
  "  rev16 r4, r4\n"         \
  "  sxtb  r5, r4\n"         \
  "  muls  r5, r2, r5\n"     \
  "  add   " ACC1 ", r5\n"   \
  "  asrs  r4, r4, #24\n"    \
  "  muls  r4, r3, r4\n"     \
  "  add   " ACC0 ", r4\n"

#define BLOCK           \
  INPUT("0", "r2")      \
  INPUT("1", "r3")      \
  "  adds  r7, #2\n"    \
  TWO_ROWS("r8", "r9")  \
  TWO_ROWS("r10", "r11")

// clang-format on

SPARSESEP_NAKED_MULTIPLY {
  __asm__ volatile(SPARSESEP_V6M_BLOCKS(BLOCK, SPARSESEP_V6M_STORE_4));
}

SPARSESEP_KERNEL(4x1_delta8_int8, v6m, sparsesep_run_row_groups, multiply)

#endif
