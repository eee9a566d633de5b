// 1x1 blocks, uint16 columns, int8 values: Armv7E-M and Armv8-M with DSP.
//
// A nonzero: 2 instructions fetch its input, 1.5 multiply; 1 load of weights
// and 2 for the loop come to each 16. 3.69 instructions a nonzero, and 11 a
// row.
#include "common/isa.h"
#include "sparse_fully_connected/dsp/rows_dsp.h"
#include "sparse_fully_connected/variants.h"

#if SPARSESEP_HAS_DSP_LAYOUTS

SPARSESEP_NAKED_MULTIPLY_DSP {
  __asm__ volatile(
      "value .req r0\n column .req r1\n x .req r2\n n .req r3\n"
      "input0 .req r4\n input1 .req r5\n w0 .req r6\n w1 .req r7\n"
      "w2 .req r8\n w3 .req r9\n t .req r10\n sum .req r11\n"
      "counts .req r12\n rows .req lr\n"
      ".macro four w\n"
      "  ldrh input0, [column, #2]\n"
      "  ldrh input1, [column, #4]\n"
      "  sxtb16 t, \\w\n"
      "  sxtb16 \\w, \\w, ror #8\n"
      "  ldrsb input0, [x, input0]\n"
      "  ldrsb input1, [x, input1]\n"
      "  smlabb sum, t, input0, sum\n"
      "  ldrh input0, [column, #6]\n"
      "  smlabb sum, \\w, input1, sum\n"
      "  ldrh input1, [column, #8]!\n"
      "  ldrsb input0, [x, input0]\n"
      "  ldrsb input1, [x, input1]\n"
      "  smlatb sum, t, input0, sum\n"
      "  smlatb sum, \\w, input1, sum\n"
      ".endm\n"
      "  push {r0, r4-r11, lr}\n"
      "  ldmia r0, {r0, r1, r2, r3, r4, r5}\n"
      "  push {r4}\n"  // acc_end
      "  mov counts, r2\n"
      "  mov rows, r3\n"
      "  mov x, r5\n"
      "  subs column, column, #2\n"
      "1:\n"
      "  ldrh n, [counts], #2\n"
      "  mov sum, #0\n"
      "  subs n, n, #16\n"
      "  blo 3f\n"
      "2:\n"
      "  ldmia value!, {w0, w1, w2, w3}\n"
      "  four w0\n"
      "  four w1\n"
      "  four w2\n"
      "  four w3\n"
      "  subs n, n, #16\n"
      "  bhs 2b\n"
      "3:\n"
      "  lsls n, n, #29\n"  // bit 3 of the count to carry, bit 2 to sign
      "  bcc 4f\n"
      "  ldrd w0, w1, [value], #8\n"
      "  four w0\n"
      "  four w1\n"
      "4:\n"
      "  bpl 5f\n"
      "  ldr w0, [value], #4\n"
      "  four w0\n"
      "5:\n"
      "  ldr t, [sp]\n"
      "  str sum, [rows], #4\n"
      "  cmp rows, t\n"
      "  bne 1b\n"
      "  adds column, column, #2\n"
      "  pop {r3, r4}\n"
      "  stmia r4, {value, column, counts}\n"
      "  pop {r4-r11, pc}\n"
      ".purgem four\n .unreq value\n .unreq column\n .unreq x\n"
      ".unreq n\n .unreq input0\n .unreq input1\n .unreq w0\n"
      ".unreq w1\n .unreq w2\n .unreq w3\n .unreq t\n .unreq sum\n"
      ".unreq counts\n .unreq rows\n");
}

SPARSESEP_KERNEL(1x1_u16_int8, dsp, sparsesep_run_dsp, multiply)

#endif
