// 1x1 blocks, uint8 steps, int8 values: Armv7E-M and Armv8-M with DSP.
//
// A nonzero: 2 instructions fetch its input, 1.5 multiply; 3 loads of weights
// and steps and 2 for the loop come to each 16. 3.81 instructions a nonzero,
// 4.5 for the rest by fours, and 12 a row.
#include "common/isa.h"
#include "sparse_fully_connected/dsp/eight_vectors_dsp.h"
#include "sparse_fully_connected/variants.h"
#include "sparsesep/compiler.h"

#if SPARSESEP_HAS_DSP_LAYOUTS

SPARSESEP_NAKED_MULTIPLY_DSP {
  __asm__ volatile(
      "value .req r0\n index .req r1\n x .req r2\n n .req r3\n"
      "steps0 .req r4\n steps1 .req r5\n steps2 .req r6\n steps3 .req r7\n"
      "w0 .req r8\n w1 .req r9\n t .req r10\n input0 .req r11\n"
      "input1 .req r12\n sum .req lr\n"
      ".macro four steps, w\n"
      "  uxtab x, x, \\steps\n"
      "  ldrsb input0, [x]\n"
      "  uxtab x, x, \\steps, ror #8\n"
      "  ldrsb input1, [x]\n"
      "  sxtb16 t, \\w\n"
      "  sxtb16 \\w, \\w, ror #8\n"
      "  smlabb sum, t, input0, sum\n"
      "  uxtab x, x, \\steps, ror #16\n"
      "  ldrsb input0, [x]\n"
      "  smlabb sum, \\w, input1, sum\n"
      "  uxtab x, x, \\steps, ror #24\n"
      "  ldrsb input1, [x]\n"
      "  smlatb sum, t, input0, sum\n"
      "  smlatb sum, \\w, input1, sum\n"
      ".endm\n"
      ".macro eight first, second\n"
      "  ldrd w0, w1, [value], #8\n"
      "  four \\first, w0\n"
      "  four \\second, w1\n"
      ".endm\n"
      "  push {r0, r4-r11, lr}\n"
      "  ldmia r0, {r0, r1, r2, r3, r4, r5}\n"
      "  push {r2, r3, r4, r5}\n"  // counts, acc, acc_end, x
      "  ldrd r4, r5, [sp]\n"
      "  ldr x, [sp, #12]\n"
      "1:\n"
      "  ldrh n, [r4], #2\n"
      "  strd r4, r5, [sp]\n"
      "  mov sum, #0\n"
      "  subs n, n, #16\n"
      "  blo 3f\n"
      "2:\n"
      "  ldmia index!, {steps0, steps1, steps2, steps3}\n"
      "  eight steps0, steps1\n"
      "  eight steps2, steps3\n"
      "  subs n, n, #16\n"
      "  bhs 2b\n"
      "3:\n"
      "  adds n, n, #16\n"
      "  beq 5f\n"
      "4:\n"
      "  ldr steps0, [index], #4\n"
      "  ldr w0, [value], #4\n"
      "  four steps0, w0\n"
      "  subs n, n, #4\n"
      "  bne 4b\n"
      "5:\n"
      "  ldrd r4, r5, [sp]\n"
      "  ldrd r6, x, [sp, #8]\n"
      "  str sum, [r5], #4\n"
      "  cmp r5, r6\n"
      "  bne 1b\n"
      "  pop {r4, r5, r6, r7, r8}\n"
      "  stmia r8, {value, index, r4}\n"
      "  pop {r4-r11, pc}\n"
      ".purgem four\n .purgem eight\n .unreq value\n .unreq index\n"
      ".unreq x\n .unreq n\n .unreq steps0\n .unreq steps1\n"
      ".unreq steps2\n .unreq steps3\n .unreq w0\n .unreq w1\n"
      ".unreq t\n .unreq input0\n .unreq input1\n .unreq sum\n");
}

// Eight vectors at once. A nonzero: 3 instructions fetch its weight and step, 3
// its inputs, 4 multiply, 0.75 for the loop. 1.2 instructions a nonzero and
// vector, and 39 a row of eight vectors.
//
// On the stack: counts, acc, where it ends, where the inputs begin; where the
// weights of the row end.
SPARSESEP_NAKED static void multiply_eight(SparsesepVectorDsp* vectors
                                           __attribute__((unused))) {
  __asm__ volatile(
      "value .req r0\n index .req r1\n xa .req r2\n xb .req r3\n"
      "x .req r12\n w .req lr\n" SPARSESEP_EIGHT_SUMS_DSP
      ".macro nonzero\n"
      "  ldrb w, [index], #1\n"
      "  add x, x, w, lsl #4\n"
      "  ldrsb w, [value], #1\n"
      "  ldrd xa, xb, [x]\n"
      "  smlal sum0, sum1, xa, w\n"
      "  smlal sum2, sum3, xb, w\n"
      "  ldrd xa, xb, [x, #8]\n"
      "  smlal sum4, sum5, xa, w\n"
      "  smlal sum6, sum7, xb, w\n"
      ".endm\n"
      "  push {r0, r4-r11, lr}\n"
      "  ldmia r0, {r0, r1, r2, r3, r5}\n"
      "  sub r4, r5, #256\n"
      "  push {r2, r3, r4, r5, r6}\n"
      "1:\n"
      "  ldr x, [sp]\n"
      "  ldrh w, [x], #2\n"
      "  str x, [sp]\n"
      "  ldr x, [sp, #12]\n"
      "  clear_sums\n"
      "  add w, value, w\n"
      "  str w, [sp, #16]\n"
      "  cmp value, w\n"
      "  beq 3f\n"
      "2:\n"
      "  nonzero\n"
      "  nonzero\n"
      "  nonzero\n"
      "  nonzero\n"
      "  ldr w, [sp, #16]\n"
      "  cmp value, w\n"
      "  bne 2b\n"
      "  split_sums\n"
      "3:\n"
      "  store_sums #4\n"
      "  bne 1b\n"
      "  pop {r2, r3, r4, r5, r6}\n"
      "  pop {r4}\n"
      "  stmia r4, {r0, r1, r2}\n"
      "  pop {r4-r11, pc}\n"
      ".purgem nonzero\n .unreq value\n .unreq index\n .unreq xa\n"
      ".unreq xb\n .unreq x\n .unreq w\n" SPARSESEP_END_OF_EIGHT_SUMS_DSP);
}

SPARSESEP_KERNEL(1x1_delta8_int8, dsp, sparsesep_run_eight_vectors_dsp,
                 multiply, multiply_eight)

#endif
