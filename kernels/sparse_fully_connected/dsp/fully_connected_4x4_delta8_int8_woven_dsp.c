// 4x4 blocks, uint8 steps, interleaved int8 values: Armv7E-M and Armv8-M with
// DSP.
//
// A word of weights holds two columns of two rows as `low + 256 * high`. Times
// two inputs it adds to a mixed sum of both rows; its low bytes alone, cut out
// by one SXTB16, add to the sum of the low row. The high row is the difference
// / 256. So two rows of two columns take 3 instructions where separate bytes
// take 4.
//
// A block: 3 instructions fetch its step and its inputs, 1 its weights, 12
// multiply; 1 for the loop of two blocks. 1.06 instructions a weight, and 20
// for each four rows.
#include "common/isa.h"
#include "sparse_fully_connected/dsp/run_vector_tiles_dsp.h"
#include "sparse_fully_connected/variants.h"

#if SPARSESEP_HAS_DSP_LAYOUTS

SPARSESEP_NAKED_MULTIPLY_DSP {
  __asm__ volatile(
      "value .req r0\n index .req r1\n x .req r2\n n .req r3\n"
      "sum0 .req r4\n sum1 .req r5\n sum2 .req r6\n sum3 .req r7\n"
      "w0 .req r8\n w1 .req r9\n w2 .req r10\n w3 .req r11\n"
      "even .req r12\n odd .req lr\n"
      ".macro two_rows w, x, low, mixed\n"
      "  smlad \\mixed, \\w, \\x, \\mixed\n"
      "  sxtb16 \\w, \\w\n"
      "  smlad \\low, \\w, \\x, \\low\n"
      ".endm\n"
      ".macro block\n"
      "  ldrb w0, [index], #1\n"
      "  add x, x, w0, lsl #3\n"
      "  ldrd even, odd, [x]\n"
      "  ldmia value!, {w0, w1, w2, w3}\n"
      "  two_rows w0, even, sum0, sum1\n"
      "  two_rows w1, even, sum2, sum3\n"
      "  two_rows w2, odd, sum0, sum1\n"
      "  two_rows w3, odd, sum2, sum3\n"
      ".endm\n"
      "  push {r0, r4-r11, lr}\n"
      "  ldmia r0, {r0, r1, r8, r9, r10}\n"
      "  push {r8, r9, r10}\n"  // counts, acc, acc_end: there the inputs begin
      "  mov x, r10\n"
      "1:\n"
      "  ldrh n, [r8], #2\n"
      "  strd r8, r9, [sp]\n"
      "  movs sum0, #0\n"
      "  movs sum1, #0\n"
      "  movs sum2, #0\n"
      "  movs sum3, #0\n"
      "  adds n, n, #1\n"
      "  lsrs n, n, #1\n"  // no carry: an odd count, enter halfway
      "  beq 4f\n"
      "  bcc 3f\n"
      "2:\n"
      "  block\n"
      "3:\n"
      "  block\n"
      "  subs n, n, #1\n"
      "  bne 2b\n"
      "4:\n"
      "  ldrd r8, r9, [sp]\n"
      "  ldr x, [sp, #8]\n"
      "  sub sum1, sum1, sum0\n"
      "  sub sum3, sum3, sum2\n"
      "  asrs sum1, sum1, #8\n"
      "  asrs sum3, sum3, #8\n"
      "  stmia r9!, {sum0, sum1, sum2, sum3}\n"
      "  cmp r9, x\n"
      "  bne 1b\n"
      "  pop {r4, r5, r6, r7}\n"
      "  stmia r7, {value, index, r4}\n"
      "  pop {r4-r11, pc}\n"
      ".purgem two_rows\n .purgem block\n .unreq value\n .unreq index\n"
      ".unreq x\n .unreq n\n .unreq sum0\n .unreq sum1\n .unreq sum2\n"
      ".unreq sum3\n .unreq w0\n .unreq w1\n .unreq w2\n .unreq w3\n"
      ".unreq even\n .unreq odd\n");
}

SPARSESEP_KERNEL(4x4_delta8_int8_woven, dsp, sparsesep_run_vector_tiles_dsp,
                 multiply)

#endif
