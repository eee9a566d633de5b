// 4x1 blocks in pairs, uint8 steps, int8 values: Armv7E-M and Armv8-M with DSP.
//
// A pair of blocks meets in one SMLAD for each row. 5 instructions fetch its
// inputs, 1.5 its weights and steps, 8 multiply; 1 for the loop of two pairs.
// 1.94 instructions a weight, and 16 for each four rows.
#include "common/isa.h"
#include "sparse_fully_connected/dsp/rows_dsp.h"
#include "sparse_fully_connected/variants.h"

#if SPARSESEP_HAS_DSP

SPARSESEP_NAKED_MULTIPLY_DSP {
  __asm__ volatile(
      "value .req r0\n index .req r1\n x .req r2\n n .req r3\n"
      "sum0 .req r4\n sum1 .req r5\n sum2 .req r6\n sum3 .req r7\n"
      "w0 .req r8\n w1 .req r9\n steps .req r10\n t .req r11\n"
      "pair .req r12\n rows .req lr\n"
      ".macro two_rows w, first, second\n"
      "  sxtb16 t, \\w\n"
      "  sxtb16 \\w, \\w, ror #8\n"
      "  smlad \\first, t, pair, \\first\n"
      "  smlad \\second, \\w, pair, \\second\n"
      ".endm\n"
      ".macro two_blocks bit\n"
      "  ldrd w0, w1, [value], #8\n"
      "  uxtab x, x, steps, ror #\\bit\n"
      "  ldrsb pair, [x]\n"
      "  uxtab x, x, steps, ror #(\\bit + 8)\n"
      "  ldrsb t, [x]\n"
      "  pkhbt pair, pair, t, lsl #16\n"
      "  two_rows w0, sum0, sum1\n"
      "  two_rows w1, sum2, sum3\n"
      ".endm\n"
      "  push {r0, r4-r11, lr}\n"
      "  ldmia r0, {r0, r1, r2, r3, r4, r5}\n"
      "  push {r2, r4, r5}\n"  // counts, acc_end, x
      "  mov rows, r3\n"
      "  mov x, r5\n"
      "1:\n"
      "  ldr t, [sp]\n"
      "  ldrh n, [t], #2\n"
      "  str t, [sp]\n"
      "  movs sum0, #0\n"
      "  movs sum1, #0\n"
      "  movs sum2, #0\n"
      "  movs sum3, #0\n"
      "  subs n, n, #4\n"
      "  blo 3f\n"
      "2:\n"
      "  ldr steps, [index], #4\n"
      "  two_blocks 0\n"
      "  two_blocks 16\n"
      "  subs n, n, #4\n"
      "  bhs 2b\n"
      "3:\n"
      "  lsls n, n, #31\n"  // bit 1 of the count to carry
      "  bcc 4f\n"
      "  ldrh steps, [index], #2\n"
      "  two_blocks 0\n"
      "4:\n"
      "  ldrd t, x, [sp, #4]\n"
      "  stmia rows!, {sum0, sum1, sum2, sum3}\n"
      "  cmp rows, t\n"
      "  bne 1b\n"
      "  pop {r4, r5, r6, r7}\n"
      "  stmia r7, {value, index, r4}\n"
      "  pop {r4-r11, pc}\n"
      ".purgem two_rows\n .purgem two_blocks\n .unreq value\n"
      ".unreq index\n .unreq x\n .unreq n\n .unreq sum0\n .unreq sum1\n"
      ".unreq sum2\n .unreq sum3\n .unreq w0\n .unreq w1\n"
      ".unreq steps\n .unreq t\n .unreq pair\n .unreq rows\n");
}

SPARSESEP_KERNEL(4x1_delta8_int8, dsp, sparsesep_run_dsp, multiply)

#endif
