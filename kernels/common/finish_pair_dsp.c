#include "common/finish_pair_dsp.h"

#include "common/isa.h"
#include "sparsesep/compiler.h"

#if SPARSESEP_HAS_DSP_LAYOUTS

_Static_assert(offsetof(SparsesepRowPairsDsp, sums) == 24 &&
                   offsetof(SparsesepRowPairsDsp, step) == 32,
               "assembly reads words");

// Outputs of two rows, two vectors a round. finish_rows_dsp.c explains how a
// row is finished; here the shift is a multiplication, which adds the zero
// point and rounds as well.
//
// r1 sums, r2 and r3 bias, r4 and r5 multipliers, r6 and r7 shifts' factors, r8
// zero point, r9 stride, r10 low, r11 mixed, r12 out, lr sums_end.
SPARSESEP_NAKED int sparsesep_finish_pair_dsp(SparsesepRowPairsDsp* pairs
                                              __attribute__((unused))) {
  __asm__ volatile(
      ".macro finish sum, multiplier, factor\n"
      "  smmulr \\sum, \\sum, \\multiplier\n"
      "  add \\sum, \\sum, \\sum, asr #31\n"
      "  smmlar \\sum, \\sum, \\factor, r8\n"
      "  ssat \\sum, #8, \\sum\n"
      ".endm\n"
      ".macro vector\n"
      "  ldrd r10, r11, [r1], #8\n"
      "  sub r11, r11, r10\n"
      "  add r10, r2, r10, lsl #1\n"
      "  add r11, r3, r11, asr #7\n"
      "  finish r10, r4, r6\n"
      "  finish r11, r5, r7\n"
      "  strb r11, [r12, #1]\n"
      "  strb r10, [r12]\n"
      "  add r12, r12, r9\n"
      ".endm\n"
      "  push {r4-r11, lr}\n"
      "  ldmia r0, {r1, r8, r10, r12}\n"
      "  ldrd r2, r3, [r1], #8\n"
      "  ldrd r4, r5, [r8], #8\n"
      "  ldrsb r6, [r10], #1\n"
      "  ldrsb r7, [r10], #1\n"
      "  add r11, r12, #2\n"
      "  stmia r0!, {r1, r8, r10, r11}\n"
      "  mov r1, #1\n"
      "  add r6, r6, #32\n"
      "  add r7, r7, #32\n"
      "  lsl r6, r1, r6\n"
      "  lsl r7, r1, r7\n"
      "  lsl r2, r2, #1\n"
      "  lsl r3, r3, #1\n"
      "  ldrd r8, r9, [r0]\n"
      "  ldrd r1, lr, [r0, #8]\n"
      "  orrs r0, r6, r7\n"
      "  ite mi\n"
      "  movmi r0, #0\n"
      "  movpl r0, #1\n"
      "  bmi 2f\n"
      "1:\n"
      "  vector\n"
      "  vector\n"
      "  cmp r1, lr\n"
      "  bne 1b\n"
      "2:\n"
      "  pop {r4-r11, pc}\n"
      ".purgem vector\n .purgem finish\n");
}

#endif
