// 4x4 blocks, column after column, uint8 steps, int8 values woven: Armv7E-M and
// Armv8-M with DSP.
//
// Input-stationary: four inputs stay in registers as two pairs, (0, 2) and
// (1, 3). Where both inputs of a pair equal the zero point, its half of the
// weights is passed over. 18 instructions a whole block, 12 half a block, and
// about 20 for each four columns. How woven weights are multiplied is told in
// fully_connected_4x4_delta8_int8_woven_dsp.c.
#include "common/isa.h"
#include "sparse_fully_connected/dsp/rows_dsp.h"
#include "sparse_fully_connected/variants.h"

#if SPARSESEP_HAS_DSP

__attribute__((naked)) static void multiply(SparsesepVectorDsp* vector
                                            __attribute__((unused))) {
  __asm__ volatile(
      "value .req r0\n index .req r1\n n .req r2\n sums .req r3\n"
      "sum0 .req r4\n sum1 .req r5\n sum2 .req r6\n sum3 .req r7\n"
      "w0 .req r8\n w1 .req r9\n w2 .req r10\n w3 .req r11\n"
      "even .req r12\n odd .req lr\n"
      ".macro two_rows w, x, low, mixed\n"
      "  smlad \\mixed, \\w, \\x, \\mixed\n"
      "  sxtb16 \\w, \\w\n"
      "  smlad \\low, \\w, \\x, \\low\n"
      ".endm\n"
      ".macro start_block\n"
      "  ldrb w0, [index], #1\n"
      "  add sums, sums, w0, lsl #4\n"
      "  ldmia sums, {sum0, sum1, sum2, sum3}\n"
      ".endm\n"
      ".macro whole_block\n"
      "  start_block\n"
      "  ldmia value!, {w0, w1, w2, w3}\n"
      "  two_rows w0, even, sum0, sum1\n"
      "  two_rows w1, even, sum2, sum3\n"
      "  two_rows w2, odd, sum0, sum1\n"
      "  two_rows w3, odd, sum2, sum3\n"
      "  stmia sums, {sum0, sum1, sum2, sum3}\n"
      ".endm\n"
      ".macro half_block\n"
      "  start_block\n"
      "  ldrd w0, w1, [value], #16\n"
      "  two_rows w0, even, sum0, sum1\n"
      "  two_rows w1, even, sum2, sum3\n"
      "  stmia sums, {sum0, sum1, sum2, sum3}\n"
      ".endm\n"
      ".macro start_column\n"
      "  strd r4, r5, [sp]\n"
      "  ldr sums, [sp, #16]\n"
      "  adds n, n, #1\n"
      "  lsrs n, n, #1\n"  // no carry: an odd count, enter halfway
      ".endm\n"
      "  push {r4-r11, lr}\n"
      "  ldmia r0, {r0, r1, r2, r3, r4, r5, r6, r7}\n"
      "  pkhbt r7, r7, r7, lsl #16\n"
      "  push {r3, r4}\n"          // acc, acc_end
      "  push {r2, r5, r6, r7}\n"  // counts, x, x_end, two zero points
      "  mov r8, #0\n"
      "  mov r9, #0\n"
      "  mov r10, #0\n"
      "  mov r11, #0\n"
      "1:\n"
      "  stmia r3!, {r8, r9, r10, r11}\n"
      "  cmp r3, r4\n"
      "  bne 1b\n"
      "  mov r4, r2\n"
      "2:\n"  // four inputs; r4 to r7 are what has been pushed
      "  ldr w0, [r5], #4\n"
      "  ldrh n, [r4], #2\n"
      "  sxtb16 even, w0\n"
      "  sxtb16 odd, w0, ror #8\n"
      "  ssub16 even, even, r7\n"
      "  ssub16 odd, odd, r7\n"
      "  cmp even, #0\n"
      "  beq 8f\n"
      "  cmp odd, #0\n"
      "  beq 10f\n"
      "  start_column\n"
      "  beq 5f\n"
      "  bcc 4f\n"
      "3:\n"
      "  whole_block\n"
      "4:\n"
      "  whole_block\n"
      "  subs n, n, #1\n"
      "  bne 3b\n"
      "5:\n"
      "  ldmia sp, {r4, r5, r6, r7}\n"
      "6:\n"
      "  cmp r5, r6\n"
      "  bne 2b\n"
      "  ldrd r0, r1, [sp, #16]\n"
      "7:\n"  // all rows: the high ones apart from the mixed sums
      "  ldmia r0, {sum0, sum1, sum2, sum3}\n"
      "  sub sum1, sum1, sum0\n"
      "  sub sum3, sum3, sum2\n"
      "  asrs sum1, sum1, #8\n"
      "  asrs sum3, sum3, #8\n"
      "  stmia r0!, {sum0, sum1, sum2, sum3}\n"
      "  cmp r0, r1\n"
      "  bne 7b\n"
      "  add sp, sp, #24\n"
      "  pop {r4-r11, pc}\n"
      "8:\n"
      "  cmp odd, #0\n"
      "  bne 9f\n"
      "  add value, value, n, lsl #4\n"  // nothing to add
      "  add index, index, n\n"
      "  b 6b\n"
      "9:\n"
      "  add value, value, #8\n"  // odd halves: they stand behind the even ones
      "  mov even, odd\n"
      "10:\n"
      "  start_column\n"
      "  beq 13f\n"
      "  bcc 12f\n"
      "11:\n"
      "  half_block\n"
      "12:\n"
      "  half_block\n"
      "  subs n, n, #1\n"
      "  bne 11b\n"
      "13:\n"
      "  cmp odd, #0\n"
      "  beq 5b\n"
      "  sub value, value, #8\n"
      "  b 5b\n"
      ".purgem two_rows\n .purgem start_block\n .purgem whole_block\n"
      ".purgem half_block\n .purgem start_column\n .unreq value\n"
      ".unreq index\n .unreq n\n .unreq sums\n .unreq sum0\n"
      ".unreq sum1\n .unreq sum2\n .unreq sum3\n .unreq w0\n .unreq w1\n"
      ".unreq w2\n .unreq w3\n .unreq even\n .unreq odd\n");
}

void sparsesep_fully_connected_4x4_delta8_int8_woven_column_dsp(
    const SparsesepPackedHeader* weights,
    const SparsesepFullyConnectedParams* params, const void* input,
    int32_t batch, void* output, void* scratch) {
  sparsesep_run_dsp(weights, params, input, batch, output, scratch, multiply);
}

#endif
