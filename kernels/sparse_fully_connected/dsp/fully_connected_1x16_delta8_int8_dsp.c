// 1x16 blocks, uint8 steps, int8 values: Armv7E-M and Armv8-M with DSP.
//
// A block: 3 instructions fetch its step and its weights, 4 its inputs, 16
// multiply, 2 for the loop. 1.56 instructions a weight, and 7 a row.
#include "common/isa.h"
#include "sparse_fully_connected/dsp/rows_dsp.h"
#include "sparse_fully_connected/variants.h"

#if SPARSESEP_HAS_DSP

SPARSESEP_NAKED_MULTIPLY_DSP {
  __asm__ volatile(
      "value .req r0\n index .req r1\n x .req r2\n n .req r3\n"
      "w0 .req r4\n w1 .req r5\n w2 .req r6\n w3 .req r7\n"
      "even .req r8\n odd .req r9\n t .req r10\n sum .req r11\n"
      "counts .req r12\n rows .req lr\n"
      ".macro columns w, offset\n"
      "  ldrd even, odd, [x, #\\offset]\n"
      "  sxtb16 t, \\w\n"
      "  sxtb16 \\w, \\w, ror #8\n"
      "  smlad sum, t, even, sum\n"
      "  smlad sum, \\w, odd, sum\n"
      ".endm\n"
      "  push {r0, r4-r11, lr}\n"
      "  ldmia r0, {r0, r1, r2, r3, r4}\n"
      "  mov counts, r2\n"
      "  mov rows, r3\n"
      "  mov x, r4\n"
      "  push {r4}\n"  // acc_end: there the inputs begin
      "1:\n"
      "  ldrh n, [counts], #2\n"
      "  mov sum, #0\n"
      "  cbz n, 3f\n"
      "2:\n"
      "  ldrb t, [index], #1\n"
      "  ldmia value!, {w0, w1, w2, w3}\n"
      "  add x, x, t, lsl #5\n"
      "  columns w0, 0\n"
      "  columns w1, 8\n"
      "  columns w2, 16\n"
      "  columns w3, 24\n"
      "  subs n, n, #1\n"
      "  bne 2b\n"
      "3:\n"
      "  ldr x, [sp]\n"
      "  str sum, [rows], #4\n"
      "  cmp rows, x\n"
      "  bne 1b\n"
      "  pop {r3, r4}\n"
      "  stmia r4, {value, index, counts}\n"
      "  pop {r4-r11, pc}\n"
      ".purgem columns\n .unreq value\n .unreq index\n .unreq x\n"
      ".unreq n\n .unreq w0\n .unreq w1\n .unreq w2\n .unreq w3\n"
      ".unreq even\n .unreq odd\n .unreq t\n .unreq sum\n"
      ".unreq counts\n .unreq rows\n");
}

SPARSESEP_KERNEL(1x16_delta8_int8, dsp, sparsesep_run_dsp, multiply)

#endif
