// Armv7E-M and Armv8-M with DSP: 10 instructions a sum, and 2 for each four.
#include <stddef.h>

#include "common/isa.h"
#include "sparse_conv/residual.h"

#if SPARSESEP_HAS_DSP && !SPARSESEP_HAS_MVE

_Static_assert(offsetof(SparsesepAddition, multiplier) == 4 &&
                   offsetof(SparsesepAddition, shift) == 8 &&
                   offsetof(SparsesepAddition, rounding) == 12,
               "assembly reads words");

// r1 wide, r2 narrow, r3 out, r4 table, r5 multiplier, r6 shift, r7 rounding,
// r8 sum, r9 an operand, r12 count.
__attribute__((naked)) void sparsesep_add_operands(
    const SparsesepAddition* addition __attribute__((unused)),
    const int8_t* wide __attribute__((unused)),
    const int8_t* narrow __attribute__((unused)),
    int8_t* out __attribute__((unused)), size_t count __attribute__((unused))) {
  __asm__ volatile(
      ".macro one\n"
      "  ldrb  r8, [r2], #1\n"
      "  ldrsb r9, [r1], #1\n"
      "  ldr   r8, [r4, r8, lsl #2]\n"
      "  add   r8, r8, r9, lsl #20\n"
      "  smmulr r8, r8, r5\n"
      "  add   r8, r8, r8, asr #31\n"
      "  add   r8, r8, r7\n"
      "  asr   r8, r8, r6\n"
      "  ssat  r8, #8, r8\n"
      "  strb  r8, [r3], #1\n"
      ".endm\n"
      "  push  {r4-r9, lr}\n"
      "  ldr   r12, [sp, #28]\n"
      "  ldmia r0, {r4-r7}\n"
      "  subs  r12, r12, #4\n"
      "  blo   2f\n"
      "1:\n"
      "  one\n  one\n  one\n  one\n"
      "  subs  r12, r12, #4\n"
      "  bhs   1b\n"
      "2:\n"
      "  adds  r12, r12, #4\n"
      "  beq   4f\n"
      "3:\n"
      "  one\n"
      "  subs  r12, r12, #1\n"
      "  bne   3b\n"
      "4:\n"
      "  pop   {r4-r9, pc}\n"
      ".purgem one\n");
}

#endif
