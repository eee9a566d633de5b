// 1x1 blocks, uint16 columns, int8 values: Armv7-M.
//
// 4.25 instructions a nonzero: column, input, weight, mla, and 2 for 8 rounds.
#include "common/isa.h"
#include "sparse_fully_connected/v7m/run_four_vectors_v7m.h"
#include "sparse_fully_connected/variants.h"

#if SPARSESEP_HAS_V7M

// Counts are multiples of 4: where one is no multiple of 8, the first round
// enters halfway. Naked, as compilers keep r7 for themselves at -O0.
SPARSESEP_NAKED_MULTIPLY {
  __asm__ volatile(
      "value .req r0\n vector .req r1\n groups .req r2\n rows .req r3\n"
      "column .req r4\n input0 .req r5\n input1 .req r6\n w .req r7\n"
      "sum .req r8\n rounds .req r9\n counts .req r12\n"
      ".macro four\n"  // column and value move on with the last loads
      "  ldrh input0, [column, #2]\n"
      "  ldrh input1, [column, #4]\n"
      "  ldrsb w, [value, #1]\n"
      "  ldrsb input0, [vector, input0]\n"
      "  ldrsb input1, [vector, input1]\n"
      "  mla sum, w, input0, sum\n"
      "  ldrsb w, [value, #2]\n"
      "  ldrh input0, [column, #6]\n"
      "  mla sum, w, input1, sum\n"
      "  ldrh input1, [column], #8\n"
      "  ldrsb w, [value, #3]\n"
      "  ldrsb input0, [vector, input0]\n"
      "  ldrsb input1, [vector, input1]\n"
      "  mla sum, w, input0, sum\n"
      "  ldrsb w, [value], #4\n"
      "  mla sum, w, input1, sum\n"
      ".endm\n"
      "  push {r0, r4-r9, lr}\n"
      "  ldr counts, [r0]\n"
      "  ldr column, [r0, #4]\n"
      "  ldr value, [r0, #8]\n"
      "1:\n"
      "  ldrh rounds, [counts], #2\n"
      "  mov sum, #0\n"
      "  lsrs rounds, rounds, #3\n"
      "  adc rounds, rounds, #0\n"
      "  bcs 3f\n"
      "  beq 4f\n"
      "2:\n"
      "  four\n"
      "3:\n"
      "  four\n"
      "  subs rounds, rounds, #1\n"
      "  bne 2b\n"
      "4:\n"
      "  str sum, [rows], #4\n"
      "  subs groups, groups, #1\n"
      "  bne 1b\n"
      "  pop {r3}\n"
      "  str counts, [r3]\n"
      "  str column, [r3, #4]\n"
      "  str value, [r3, #8]\n"
      "  pop {r4-r9, pc}\n"
      ".purgem four\n .unreq value\n .unreq vector\n .unreq groups\n"
      ".unreq rows\n .unreq column\n .unreq input0\n .unreq input1\n"
      ".unreq w\n .unreq sum\n .unreq rounds\n .unreq counts\n");
}

#if SPARSESEP_HAS_FOUR_V7M

// Four vectors at once: 2.63 instructions a nonzero and vector, and 14 a row of
// four vectors.
SPARSESEP_V7M_MULTIPLY_FOUR("  ldrh r2, [r1], #2\n")

SPARSESEP_KERNEL(1x1_u16_int8, v7m, sparsesep_run_four_vectors_v7m, multiply,
                 multiply_four)

#else

SPARSESEP_KERNEL(1x1_u16_int8, v7m, sparsesep_run_row_groups, multiply)

#endif

#endif
