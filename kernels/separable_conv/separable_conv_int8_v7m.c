// int8, natural order: Armv7-M.
//
// A weight is loaded once for four columns, and a tap of the four at once: 6
// instructions for 4 multiply-accumulates, 1.63 each with the loop around four
// taps.
#include "separable_conv/variants.h"
#include "separable_conv/wide.h"
#include "sparsesep/compiler.h"

#if SPARSESEP_HAS_V7M && !SPARSESEP_HAS_MVE

// Enters the first round of the loop so far down that whole rounds of four taps
// follow.
SPARSESEP_NAKED static void multiply(const SparsesepWideProduct* product
                                     __attribute__((unused))) {
  __asm__ volatile(
      "weights .req r0\n x .req r1\n row_end .req r2\n units .req r3\n"
      "sum0 .req r4\n sum1 .req r5\n sum2 .req r6\n sum3 .req r7\n"
      "weight .req r12\n entry .req lr\n"
      ".macro tap\n"  // 24 bytes
      "  ldmia x!, {r8-r11}\n"
      "  ldrsb weight, [weights], #1\n"
      "  mla sum0, r8, weight, sum0\n"
      "  mla sum1, r9, weight, sum1\n"
      "  mla sum2, r10, weight, sum2\n"
      "  mla sum3, r11, weight, sum3\n"
      ".endm\n"
      "  push {r4-r11, lr}\n"
      "  ldmia r0, {r0, r4, r5, r6, r7, r8}\n"
      "  push {r4-r7}\n"  // x, taps, acc, stride
      "  mov units, r8\n"
      "  mov row_end, weights\n"
      "  rsbs r6, r5, #0\n"
      "  ands r6, r6, #3\n"  // taps to leave out of the first round
      "  adr entry, 2f\n"
      "  movs r7, #24\n"
      "  mla entry, r6, r7, entry\n"
      "  orr entry, entry, #1\n"  // Thumb
      "1:\n"
      "  ldrd x, r8, [sp]\n"
      "  add row_end, row_end, r8\n"
      "  movs sum0, #0\n"
      "  movs sum1, #0\n"
      "  movs sum2, #0\n"
      "  movs sum3, #0\n"
      "  bx entry\n"
      "  .p2align 2\n"
      "2:\n"
      "  tap\n"
      "  tap\n"
      "  tap\n"
      "  tap\n"
      "  cmp weights, row_end\n"
      "  bne 2b\n"
      "  ldrd r8, r9, [sp, #8]\n"
      "  add r10, r9, r9, lsl #1\n"
      "  str sum1, [r8, r9]\n"
      "  str sum2, [r8, r9, lsl #1]\n"
      "  str sum3, [r8, r10]\n"
      "  str sum0, [r8], #4\n"
      "  str r8, [sp, #8]\n"
      "  subs units, units, #1\n"
      "  bne 1b\n"
      "  add sp, sp, #16\n"
      "  pop {r4-r11, pc}\n"
      ".purgem tap\n .unreq weights\n .unreq x\n .unreq row_end\n"
      ".unreq units\n .unreq sum0\n .unreq sum1\n .unreq sum2\n"
      ".unreq sum3\n .unreq weight\n .unreq entry\n");
}

void sparsesep_separable_conv_int8_v7m(const SparsesepSeparableConv* conv,
                                       const SparsesepConvShape* shape,
                                       const void* input, void* output,
                                       void* scratch) {
  sparsesep_run_separable_wide(conv, shape, input, output, scratch, multiply);
}

#endif
