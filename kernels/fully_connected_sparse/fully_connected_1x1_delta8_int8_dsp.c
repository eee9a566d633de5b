// 1x1 blocks, uint8 steps, int8 values: Armv7E-M and Armv8-M with DSP.
//
// A nonzero: 2 instructions fetch its input, 1.5 multiply; 3 loads of weights
// and steps and 2 for the loop come to each 16. 3.81 instructions a nonzero,
// 4.5 for the rest by fours, and 12 a row.
#include "isa.h"
#include "rows_dsp.h"
#include "variants.h"

#if SPARSESEP_HAS_DSP

__attribute__((naked)) static void multiply(const SparsesepVectorDsp* vector
                                            __attribute__((unused))) {
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
      "  push {r4-r11, lr}\n"
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
      "  add sp, sp, #16\n"
      "  pop {r4-r11, pc}\n"
      ".purgem four\n .purgem eight\n .unreq value\n .unreq index\n"
      ".unreq x\n .unreq n\n .unreq steps0\n .unreq steps1\n"
      ".unreq steps2\n .unreq steps3\n .unreq w0\n .unreq w1\n"
      ".unreq t\n .unreq input0\n .unreq input1\n .unreq sum\n");
}

void sparsesep_fully_connected_1x1_delta8_int8_dsp(
    const SparsesepPackedHeader* weights,
    const SparsesepFullyConnectedParams* params, const void* input,
    int32_t batch, void* output, void* scratch) {
  sparsesep_run_dsp(weights, params, input, batch, output, scratch, multiply);
}

#endif
