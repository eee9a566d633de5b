// Armv7-M: 11 instructions a sum, 10 with the DSP extension, and 2 for each
// four.
//
// Without it, negative values are rounded by the sign that they have before the
// product is rounded. It differs only for those that become 0, which stay 0
// either way.
#include <stddef.h>

#include "common/isa.h"
#include "sparse_conv/residual.h"
#include "sparsesep/compiler.h"

#if SPARSESEP_HAS_V7M && !SPARSESEP_HAS_MVE

// The high word of the product, rounded, and the sign's part of what rounds
// next.
#if SPARSESEP_HAS_DSP
#define ROUNDED_PRODUCT   \
  "  smmulr r8, r8, r5\n" \
  "  add   r8, r8, r8, asr #31\n"
#else
#define ROUNDED_PRODUCT      \
  "  smull r9, r8, r8, r5\n" \
  "  lsls  r9, r9, #1\n"     \
  "  adc   r8, r8, r8, asr #31\n"
#endif

_Static_assert(offsetof(SparsesepAddition, multiplier) == 4 &&
                   offsetof(SparsesepAddition, shift) == 8 &&
                   offsetof(SparsesepAddition, rounding) == 12,
               "assembly reads words");

// r1 wide, r2 narrow, r3 out, r4 table, r5 multiplier, r6 shift, r7 rounding,
// r8 sum, r9 an operand, r12 count.
SPARSESEP_NAKED void sparsesep_add_operands(
    const SparsesepAddition* addition __attribute__((unused)),
    const int8_t* wide __attribute__((unused)),
    const int8_t* narrow __attribute__((unused)),
    int8_t* out __attribute__((unused)), size_t count __attribute__((unused))) {
  __asm__ volatile(
      ".macro one\n"
      "  ldrb  r8, [r2], #1\n"
      "  ldrsb r9, [r1], #1\n"
      "  ldr   r8, [r4, r8, lsl #2]\n"
      "  add   r8, r8, r9, lsl #20\n" ROUNDED_PRODUCT
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
