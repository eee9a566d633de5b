// 1x4 blocks, uint8 steps, int8 values: Armv7E-M and Armv8-M with DSP.
//
// A block: 3 instructions fetch its step and its inputs, 4 multiply; a quarter
// loads weights, half an instruction is for the loop of four blocks. 1.94
// instructions a weight, 2.5 for the rest block by block, and 10 a row.
#include "common/isa.h"
#include "sparse_fully_connected/dsp/rows_dsp.h"
#include "sparse_fully_connected/variants.h"

#if SPARSESEP_HAS_DSP

SPARSESEP_NAKED_MULTIPLY_DSP {
  __asm__ volatile(
      "value .req r0\n index .req r1\n x .req r2\n n .req r3\n"
      "sum .req r4\n t .req r5\n counts .req r6\n rows .req r7\n"
      "w0 .req r8\n w1 .req r9\n w2 .req r10\n w3 .req r11\n"
      "even .req r12\n odd .req lr\n"
      ".macro block w\n"
      "  ldrb t, [index], #1\n"
      "  add x, x, t, lsl #3\n"
      "  ldrd even, odd, [x]\n"
      "  sxtb16 t, \\w\n"
      "  sxtb16 \\w, \\w, ror #8\n"
      "  smlad sum, t, even, sum\n"
      "  smlad sum, \\w, odd, sum\n"
      ".endm\n"
      "  push {r0, r4-r11, lr}\n"
      "  ldmia r0, {r0, r1, r6, r7, r8}\n"
      "  push {r8}\n"  // acc_end: there the inputs begin
      "  mov x, r8\n"
      "1:\n"
      "  ldrh n, [counts], #2\n"
      "  movs sum, #0\n"
      "  subs n, n, #4\n"
      "  blo 3f\n"
      "2:\n"
      "  ldmia value!, {w0, w1, w2, w3}\n"
      "  block w0\n"
      "  block w1\n"
      "  block w2\n"
      "  block w3\n"
      "  subs n, n, #4\n"
      "  bhs 2b\n"
      "3:\n"
      "  adds n, n, #4\n"
      "  beq 5f\n"
      "4:\n"
      "  ldr w0, [value], #4\n"
      "  block w0\n"
      "  subs n, n, #1\n"
      "  bne 4b\n"
      "5:\n"
      "  str sum, [rows], #4\n"
      "  ldr x, [sp]\n"
      "  cmp rows, x\n"
      "  bne 1b\n"
      "  pop {r3, r4}\n"
      "  stmia r4, {value, index, counts}\n"
      "  pop {r4-r11, pc}\n"
      ".purgem block\n .unreq value\n .unreq index\n .unreq x\n"
      ".unreq n\n .unreq sum\n .unreq t\n .unreq counts\n .unreq rows\n"
      ".unreq w0\n .unreq w1\n .unreq w2\n .unreq w3\n .unreq even\n"
      ".unreq odd\n");
}

SPARSESEP_KERNEL(1x4_delta8_int8, dsp, sparsesep_run_dsp, multiply)

#endif
