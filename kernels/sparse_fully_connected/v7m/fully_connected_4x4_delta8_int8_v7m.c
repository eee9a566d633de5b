// 4x4 blocks, uint8 steps, int8 values: Armv7-M.
//
// 2.5 instructions a weight: load, mla, and 8 for each block's step, inputs and
// loop.
#include "common/isa.h"
#include "sparse_fully_connected/row_groups.h"
#include "sparse_fully_connected/variants.h"

#if SPARSESEP_HAS_V7M

// Naked: compilers keep r7 for themselves at -O0, and it needs all registers.
SPARSESEP_NAKED_MULTIPLY {
  __asm__ volatile(
      "value .req r0\n step .req r1\n x .req r2\n end .req r3\n"
      "sum0 .req r4\n sum1 .req r5\n sum2 .req r6\n sum3 .req r7\n"
      "x0 .req r8\n x1 .req r9\n x2 .req r10\n x3 .req r11\n"
      "w .req r12\n counts .req lr\n"
      ".macro weight sum, input\n"
      "  ldrsb w, [value], #1\n"
      "  mla \\sum, w, \\input, \\sum\n"
      ".endm\n"
      ".macro row sum\n"
      "  weight \\sum, x0\n"
      "  weight \\sum, x1\n"
      "  weight \\sum, x2\n"
      "  weight \\sum, x3\n"
      ".endm\n"
      "  push {r0-r11, lr}\n"
      "  ldmia r0, {r4, r5, r6}\n"
      "  mov counts, r4\n"
      "  mov step, r5\n"
      "  mov value, r6\n"
      "1:\n"
      "  ldr x, [sp, #4]\n"
      "  ldrh end, [counts], #2\n"
      "  movs sum0, #0\n"
      "  movs sum1, #0\n"
      "  movs sum2, #0\n"
      "  movs sum3, #0\n"
      "  add end, end, step\n"
      "  b 3f\n"
      "2:\n"
      "  ldrb w, [step], #1\n"
      "  add x, x, w, lsl #2\n"
      "  ldrsb x0, [x, #0]\n"
      "  ldrsb x1, [x, #1]\n"
      "  ldrsb x2, [x, #2]\n"
      "  ldrsb x3, [x, #3]\n"
      "  row sum0\n"
      "  row sum1\n"
      "  row sum2\n"
      "  row sum3\n"
      "3:\n"
      "  cmp step, end\n"
      "  bne 2b\n"
      "  ldrd r8, r9, [sp, #8]\n"  // groups, acc
      "  stmia r9!, {sum0, sum1, sum2, sum3}\n"
      "  subs r8, r8, #1\n"
      "  strd r8, r9, [sp, #8]\n"
      "  bne 1b\n"
      "  pop {r4, r5, r6, r7}\n"
      "  str counts, [r4]\n"
      "  strd step, value, [r4, #4]\n"
      "  pop {r4-r11, pc}\n"
      ".purgem row\n"
      ".purgem weight\n .unreq value\n .unreq step\n .unreq x\n"
      ".unreq end\n .unreq sum0\n .unreq sum1\n .unreq sum2\n"
      ".unreq sum3\n .unreq x0\n .unreq x1\n .unreq x2\n .unreq x3\n"
      ".unreq w\n .unreq counts\n");
}

SPARSESEP_KERNEL(4x4_delta8_int8, v7m, sparsesep_run_row_groups, multiply)

#endif
