// int8, natural order: Armv6-M.
//
// A weight is loaded once for four columns, and a tap of the four at once: 12
// instructions for 4 multiply-accumulates, the loop included. Sums are in high
// registers, to which Thumb-1 can add.
#include "separable_conv/variants.h"
#include "separable_conv/wide.h"
#include "sparsesep/compiler.h"

#if SPARSESEP_HAS_V6M

SPARSESEP_NAKED static void multiply(const SparsesepWideProduct* product
                                     __attribute__((unused))) {
  __asm__ volatile(
      ".syntax unified\n"
      "weight .req r4\n x .req r5\n row_end .req r6\n index .req r7\n"
      "  push {r4-r7, lr}\n"
      "  mov r4, r8\n"
      "  mov r5, r9\n"
      "  mov r6, r10\n"
      "  mov r7, r11\n"
      "  push {r4-r7}\n"
      "  ldmia r0!, {r1, r2, r3}\n"  // weights, x, taps
      "  ldmia r0!, {r5, r6, r7}\n"  // acc, stride, units
      "  mov r4, r7\n"
      "  push {r2-r6}\n"  // x, taps, units, acc, stride
      "  mov row_end, r1\n"
      "1:\n"
      "  ldr x, [sp, #0]\n"
      "  ldr r0, [sp, #4]\n"
      "  adds row_end, row_end, r0\n"
      "  rsbs index, r0, #0\n"  // counts up to the end of the row
      "  movs r0, #0\n"
      "  mov r8, r0\n"
      "  mov r9, r0\n"
      "  mov r10, r0\n"
      "  mov r11, r0\n"
      "2:\n"
      "  ldmia x!, {r0-r3}\n"
      "  ldrsb weight, [row_end, index]\n"
      "  muls r0, weight\n"
      "  muls r1, weight\n"
      "  muls r2, weight\n"
      "  muls r3, weight\n"
      "  add r8, r8, r0\n"
      "  add r9, r9, r1\n"
      "  add r10, r10, r2\n"
      "  add r11, r11, r3\n"
      "  adds index, index, #1\n"
      "  bne 2b\n"
      "  ldr r0, [sp, #12]\n"
      "  ldr r1, [sp, #16]\n"
      "  mov r3, r8\n"
      "  str r3, [r0]\n"
      "  mov r3, r9\n"
      "  str r3, [r0, r1]\n"
      "  adds r2, r1, r1\n"
      "  mov r3, r10\n"
      "  str r3, [r0, r2]\n"
      "  adds r2, r2, r1\n"
      "  mov r3, r11\n"
      "  str r3, [r0, r2]\n"
      "  adds r0, r0, #4\n"
      "  str r0, [sp, #12]\n"
      "  ldr r0, [sp, #8]\n"
      "  subs r0, r0, #1\n"
      "  str r0, [sp, #8]\n"
      "  bne 1b\n"
      "  add sp, sp, #20\n"
      "  pop {r4-r7}\n"
      "  mov r8, r4\n"
      "  mov r9, r5\n"
      "  mov r10, r6\n"
      "  mov r11, r7\n"
      "  pop {r4-r7, pc}\n"
      ".unreq weight\n .unreq x\n .unreq row_end\n .unreq index\n");
}

void sparsesep_separable_conv_int8_v6m(const SparsesepSeparableConv* conv,
                                       const SparsesepConvShape* shape,
                                       const void* input, void* output,
                                       void* scratch) {
  sparsesep_run_separable_wide(conv, shape, input, output, scratch, multiply);
}

#endif
