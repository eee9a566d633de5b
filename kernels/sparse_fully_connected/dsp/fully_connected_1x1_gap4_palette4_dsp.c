// 1x1 blocks, 4-bit gaps, values out of a palette of 16: Armv7E-M and Armv8-M
// with DSP.
#include "common/isa.h"
#include "sparse_fully_connected/dsp/four_vectors_dsp.h"
#include "sparse_fully_connected/v7m/gap4_palette4_rows_v7m.h"
#include "sparse_fully_connected/variants.h"

#if SPARSESEP_HAS_DSP_LAYOUTS

_Static_assert(offsetof(SparsesepPackedHeader, palette_offset) == 56 &&
                   offsetof(SparsesepVectorDsp, weights) == 32,
               "assembly reads them");

// Four vectors at once. Gaps come in words of eight, as bytes of 8 * gap, the
// distance in the widened vectors: `low` has those of the low nibbles, `high`
// those of the high ones. Codes come in words of eight as well: gaps of 15 let
// them start at a high nibble (`odd`).
//
// Eight nonzeros without a gap of 15: 19 instructions for the words and the
// loop, 16 for weights, 16 for inputs, 32 multiply. 2.6 instructions a nonzero
// and vector. The last nonzeros of a row take 10 each, as the eight do, and 36:
// shifted to the end of their words, they are reached by a jump into the eight.
// In words with a gap of 15 a nonzero takes 18.
//
// On the stack: counts, acc, acc_end, where the inputs begin; index, odd;
// nonzeros that were left before a word with a gap of 15.
__attribute__((naked)) static void multiply_four(SparsesepVectorDsp* vectors
                                                 __attribute__((unused))) {
  __asm__ volatile(
      "value .req r0\n palette .req r1\n x .req r2\n left .req r3\n"
      "sum0 .req r4\n sum1 .req r5\n sum2 .req r6\n sum3 .req r7\n"
      "w .req r8\n t .req r9\n x01 .req r10\n x23 .req r11\n"
      "low .req r12\n high .req lr\n"
      ".macro products\n"
      "  ldrsb w, [palette, w]\n"
      "  ldrd x01, x23, [x], #8\n"
      "  smlabb sum0, w, x01, sum0\n"
      "  smlabt sum1, w, x01, sum1\n"
      "  smlabb sum2, w, x23, sum2\n"
      "  smlabt sum3, w, x23, sum3\n"
      ".endm\n"
      // 32 bytes: see the jump.
      ".macro nonzero gaps, at, code\n"
      "  uxtab x, x, \\gaps, ror \\at\n"
      "  ubfx w, t, \\code, #4\n"
      "  products\n"
      ".endm\n"
      // Not zero: a gap is 15.
      ".macro split_gaps\n"
      "  mov x01, #0x78787878\n"
      "  and low, x01, t, lsl #3\n"
      "  and high, x01, t, lsr #1\n"
      "  and t, t, t, lsl #2\n"
      "  and t, t, t, lsl #1\n"
      "  tst t, #0x88888888\n"
      ".endm\n"
      ".macro load_codes codes\n"
      "  ldr w, [sp, #16]\n"
      "  ldr \\codes, [value], #4\n"
      "  cmp w, #0\n"
      "  beq 9f\n"
      "  ldrb w, [value]\n"
      "  lsr \\codes, \\codes, #4\n"
      "  orr \\codes, \\codes, w, lsl #28\n"
      "9:\n"
      ".endm\n"
      "  push {r0, r4-r11, lr}\n"
      "  sub sp, sp, #24\n"
      "  ldr palette, [r0, #32]\n"
      "  ldr w, [palette, #56]\n"
      "  add palette, palette, w\n"
      "  ldmia r0, {r0, r2, r3, r4, r5}\n"
      "  movs r6, #0\n"
      "  stmia sp, {r3, r4, r5}\n"
      "  strd r2, r6, [sp, #12]\n"
      "1:\n"
      "  ldr w, [sp]\n"
      "  ldr x, [sp, #8]\n"
      "  ldrh left, [w], #2\n"
      "  str w, [sp]\n"
      "  movs sum0, #0\n"
      "  movs sum1, #0\n"
      "  movs sum2, #0\n"
      "  movs sum3, #0\n"
      "2:\n"
      "  cmp left, #0\n"
      "  beq 8f\n"
      "  ldr w, [sp, #12]\n"
      "  ldr t, [w], #4\n"
      "  subs left, left, #8\n"
      "  blo 4f\n"
      "  split_gaps\n"
      "  bne 5f\n"
      "  str w, [sp, #12]\n"
      "  load_codes t\n"
      "3:\n"
      "  nonzero low, #0, #0\n"
      "  nonzero high, #0, #4\n"
      "  nonzero low, #8, #8\n"
      "  nonzero high, #8, #12\n"
      "  nonzero low, #16, #16\n"
      "  nonzero high, #16, #20\n"
      "  nonzero low, #24, #24\n"
      "  nonzero high, #24, #28\n"
      "  b 2b\n"
      // Fewer than eight are left.
      "4:\n"
      "  rsb x23, left, #0\n"
      "  lsl x23, x23, #2\n"  // bits of those that are missing
      "  lsl t, t, x23\n"
      "  split_gaps\n"
      "  bne 5f\n"
      "  add left, left, #9\n"
      "  sub w, w, #4\n"
      "  add w, w, left, lsr #1\n"
      "  ldr x01, [sp, #16]\n"
      "  ldr t, [value]\n"
      "  add left, left, x01\n"
      "  add value, value, left, lsr #1\n"
      "  lsl x01, x01, #2\n"
      "  lsr t, t, x01\n"
      "  lsl t, t, x23\n"
      "  movs left, #0\n"
      "  str w, [sp, #12]\n"
      "  str left, [sp, #16]\n"
      "  adr w, 3b\n"
      "  add w, w, x23, lsl #3\n"
      "  mov pc, w\n"
      // One by one.
      "5:\n"
      "  str w, [sp, #12]\n"
      "  ldr t, [w, #-4]\n"
      "  load_codes low\n"
      "  add left, left, #8\n"
      "  str left, [sp, #20]\n"
      "  movs high, #8\n"
      "6:\n"
      "  and w, t, #15\n"
      "  lsr t, t, #4\n"
      "  sub high, high, #1\n"
      "  add x, x, w, lsl #3\n"
      "  cmp w, #15\n"
      "  beq 7f\n"
      "  and w, low, #15\n"
      "  lsr low, low, #4\n"
      "  products\n"
      "  subs left, left, #1\n"
      "  beq 9f\n"
      "7:\n"
      "  cmp high, #0\n"
      "  bne 6b\n"
      "9:\n"
      "  ldr w, [sp, #20]\n"
      "  ldr t, [sp, #16]\n"
      "  sub w, w, left\n"
      "  add t, t, w\n"
      "  sub value, value, #4\n"
      "  add value, value, t, lsr #1\n"
      "  and t, t, #1\n"
      "  ldr w, [sp, #12]\n"
      "  sub w, w, high, lsr #1\n"
      "  strd w, t, [sp, #12]\n"
      "  b 2b\n"
      // The next row starts at a whole byte.
      "8:\n"
      "  ldrd w, t, [sp, #4]\n"
      "  stmia w!, {sum0, sum1, sum2, sum3}\n"
      "  ldr x01, [sp, #16]\n"
      "  add value, value, x01\n"
      "  movs x01, #0\n"
      "  str x01, [sp, #16]\n"
      "  str w, [sp, #4]\n"
      "  cmp w, t\n"
      "  bne 1b\n"
      "  ldr r2, [sp]\n"
      "  ldr r1, [sp, #12]\n"
      "  add sp, sp, #24\n"
      "  pop {r5}\n"
      "  stmia r5, {r0, r1, r2}\n"
      "  pop {r4-r11, pc}\n"
      ".purgem products\n .purgem nonzero\n .purgem split_gaps\n"
      ".purgem load_codes\n"
      ".unreq value\n .unreq palette\n .unreq x\n .unreq left\n"
      ".unreq sum0\n .unreq sum1\n .unreq sum2\n .unreq sum3\n"
      ".unreq w\n .unreq t\n .unreq x01\n .unreq x23\n"
      ".unreq low\n .unreq high\n");
}

SPARSESEP_KERNEL_FUNCTION(1x1_gap4_palette4, dsp) {
  const int32_t left = batch & 3;
  const int32_t fours = batch - left;
  if (fours > 0) {
    sparsesep_run_four_vectors_dsp(weights, params, input, fours, output,
                                   scratch, NULL, multiply_four);
  }
  if (left > 0) {
    const int8_t* const x = input;
    int8_t* const out = output;
    sparsesep_run_row_groups(weights, params, x + fours * params->input_step,
                             left, out + (uint32_t)fours * weights->rows,
                             scratch, sparsesep_gap4_palette4_rows_v7m);
  }
}

#endif
