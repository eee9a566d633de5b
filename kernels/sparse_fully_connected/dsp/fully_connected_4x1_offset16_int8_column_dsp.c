// 4x1 blocks, column after column, uint16 offsets, int8 values: Armv7E-M and
// Armv8-M with DSP.
//
// Input-stationary: 8 instructions pass over an input that equals the zero
// point. A block of another: 2.5 fetch its weights and sums, 6 multiply, 1
// stores; 1 is for the loop of two blocks. 11 instructions a block, and 13 a
// column.
#include "common/isa.h"
#include "sparse_fully_connected/dsp/rows_dsp.h"
#include "sparse_fully_connected/variants.h"

#if SPARSESEP_HAS_DSP

SPARSESEP_NAKED_MULTIPLY_DSP {
  __asm__ volatile(
      "value .req r0\n offset .req r1\n n .req r2\n offsets .req r3\n"
      "sum0 .req r4\n sum1 .req r5\n sum2 .req r6\n sum3 .req r7\n"
      "w0 .req r8\n w1 .req r9\n t .req r10\n sums .req r11\n"
      "x .req r12\n acc .req lr\n"
      ".macro block w\n"
      "  ldmia sums, {sum0, sum1, sum2, sum3}\n"
      "  sxtb16 t, \\w\n"
      "  sxtb16 \\w, \\w, ror #8\n"
      "  smlabb sum0, t, x, sum0\n"
      "  smlabb sum1, \\w, x, sum1\n"
      "  smlatb sum2, t, x, sum2\n"
      "  smlatb sum3, \\w, x, sum3\n"
      "  stmia sums, {sum0, sum1, sum2, sum3}\n"
      ".endm\n"
      "  push {r4-r11, lr}\n"
      "  ldmia r0, {r0, r1, r2, r3, r4, r5, r6, r7}\n"
      "  push {r2, r5, r6, r7}\n"  // counts, x, x_end, zero point
      "  mov acc, r3\n"
      "  mov r8, #0\n"
      "  mov r9, #0\n"
      "  mov r10, #0\n"
      "  mov r11, #0\n"
      "1:\n"
      "  stmia r3!, {r8, r9, r10, r11}\n"
      "  cmp r3, r4\n"
      "  bne 1b\n"
      "  ldmia sp, {r3, r4, r5, r6}\n"
      "2:\n"
      "  ldrsb x, [r4], #1\n"
      "  ldrh n, [r3], #2\n"
      "  subs x, x, r6\n"
      "  bne 4f\n"
      "  add value, value, n, lsl #2\n"
      "  add offset, offset, n, lsl #1\n"
      "3:\n"
      "  cmp r4, r5\n"
      "  bne 2b\n"
      "  add sp, sp, #16\n"
      "  pop {r4-r11, pc}\n"
      "4:\n"
      "  strd r3, r4, [sp]\n"
      "  subs n, n, #2\n"
      "  blo 6f\n"
      "5:\n"
      "  ldr offsets, [offset], #4\n"
      "  ldrd w0, w1, [value], #8\n"
      "  uxtah sums, acc, offsets\n"
      "  block w0\n"
      "  add sums, acc, offsets, lsr #16\n"
      "  block w1\n"
      "  subs n, n, #2\n"
      "  bhs 5b\n"
      "6:\n"
      "  lsls n, n, #31\n"  // bit 0 of the count to sign
      "  bpl 7f\n"
      "  ldrh sums, [offset], #2\n"
      "  ldr w0, [value], #4\n"
      "  add sums, sums, acc\n"
      "  block w0\n"
      "7:\n"
      "  ldmia sp, {r3, r4, r5, r6}\n"
      "  b 3b\n"
      ".purgem block\n .unreq value\n .unreq offset\n .unreq n\n"
      ".unreq offsets\n .unreq sum0\n .unreq sum1\n .unreq sum2\n"
      ".unreq sum3\n .unreq w0\n .unreq w1\n .unreq t\n .unreq sums\n"
      ".unreq x\n .unreq acc\n");
}

SPARSESEP_KERNEL(4x1_offset16_int8_column, dsp, sparsesep_run_dsp, multiply)

#endif
