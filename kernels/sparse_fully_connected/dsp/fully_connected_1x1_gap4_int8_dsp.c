// 1x1 blocks, 4-bit gaps, int8 values: Armv7E-M and Armv8-M with DSP.
#include "common/isa.h"
#include "sparse_fully_connected/dsp/four_vectors_dsp.h"
#include "sparse_fully_connected/v7m/gap4_row_v7m.h"
#include "sparse_fully_connected/variants.h"

#if SPARSESEP_HAS_DSP_LAYOUTS

static void multiply(SparsesepVectorDsp* vector) {
  const uint8_t* gaps = vector->index;
  const int8_t* value = vector->value;
  const uint16_t* counts = vector->counts;
  const int8_t* const x = vector->x;
  uint32_t* acc = vector->acc;
  const uint32_t* const acc_end = vector->acc_end;
  do {
    *acc++ = sparsesep_gap4_row_v7m(&gaps, &value, x, *counts++);
  } while (acc != acc_end);
  vector->index = gaps;
  vector->value = value;
  vector->counts = counts;
}

// Four vectors at once. While eight nonzeros or more are left, gaps come in
// words of eight, as bytes of 8 * gap, the distance in the widened vectors:
// `low` has those of the low nibbles, `high` those of the high ones.
//
// Eight nonzeros without a gap of 15: 10 instructions for the word and loop, 6
// for weights, 16 for inputs, 32 multiply. 2.0 instructions a nonzero and
// vector. Another word takes 10, 9 a nonzero and 3 for each gap of 15. After
// the words, a nonzero takes 12.5; a row of four vectors takes 22.
__attribute__((naked)) static void multiply_four(SparsesepVectorDsp* vectors
                                                 __attribute__((unused))) {
  __asm__ volatile(
      "value .req r0\n index .req r1\n x .req r2\n last .req r3\n"
      "sum0 .req r4\n sum1 .req r5\n sum2 .req r6\n sum3 .req r7\n"
      "w .req r8\n t .req r9\n x01 .req r10\n x23 .req r11\n"
      "low .req r12\n high .req lr\n"
      ".macro products half, w\n"
      "  ldrd x01, x23, [x], #8\n"
      "  smla\\half\\()b sum0, \\w, x01, sum0\n"
      "  smla\\half\\()t sum1, \\w, x01, sum1\n"
      "  smla\\half\\()b sum2, \\w, x23, sum2\n"
      "  smla\\half\\()t sum3, \\w, x23, sum3\n"
      ".endm\n"
      ".macro four_nonzeros at, next\n"
      "  ldr w, [value], #4\n"
      "  sxtb16 t, w\n"
      "  sxtb16 w, w, ror #8\n"
      "  uxtab x, x, low, ror \\at\n"
      "  products b, t\n"
      "  uxtab x, x, high, ror \\at\n"
      "  products b, w\n"
      "  uxtab x, x, low, ror \\next\n"
      "  products t, t\n"
      "  uxtab x, x, high, ror \\next\n"
      "  products t, w\n"
      ".endm\n"
      // A gap, and a nonzero unless the next mark of `t` says that it is 15.
      ".macro nibble gaps, at\n"
      "  lsrs t, t, #4\n"
      "  uxtab x, x, \\gaps, ror \\at\n"
      "  bcs 9f\n"
      "  ldrsb w, [value], #1\n"
      "  products b, w\n"
      "9:\n"
      ".endm\n"
      "  push {r0, r4-r11, lr}\n"
      "  ldmia r0, {r0, r1, r2, r3, r4}\n"
      "  push {r2, r3, r4}\n"  // counts, acc, acc_end: there the inputs begin
      "1:\n"
      "  ldr w, [sp]\n"
      "  ldr x, [sp, #8]\n"
      "  ldrh last, [w], #2\n"
      "  str w, [sp]\n"
      "  movs sum0, #0\n"
      "  movs sum1, #0\n"
      "  movs sum2, #0\n"
      "  movs sum3, #0\n"
      "  add last, value, last\n"
      "  subs last, last, #8\n"  // where the last eight weights begin
      "  b 4f\n"
      "2:\n"
      "  ldr t, [index], #4\n"
      "  mov w, #0x78787878\n"
      "  and low, w, t, lsl #3\n"
      "  and high, w, t, lsr #1\n"
      "  and t, t, t, lsl #2\n"
      "  and t, t, t, lsl #1\n"
      "  tst t, #0x88888888\n"  // bit 3 of a nibble of 15
      "  bne 3f\n"
      "  four_nonzeros #0, #8\n"
      "  four_nonzeros #16, #24\n"
      "  b 4f\n"
      "3:\n"
      "  nibble low, #0\n"
      "  nibble high, #0\n"
      "  nibble low, #8\n"
      "  nibble high, #8\n"
      "  nibble low, #16\n"
      "  nibble high, #16\n"
      "  nibble low, #24\n"
      "  nibble high, #24\n"
      "4:\n"
      "  cmp value, last\n"
      "  bls 2b\n"
      "  adds last, last, #8\n"
      "  b 7f\n"
      // Fewer than eight nonzeros are left: a byte at a time.
      "5:\n"
      "  ldrb high, [index], #1\n"
      "  and low, high, #15\n"
      "  sub high, high, low\n"
      "  add x, x, low, lsl #3\n"
      "  cmp low, #15\n"
      "  beq 6f\n"
      "  ldrsb w, [value], #1\n"
      "  products b, w\n"
      "  cmp value, last\n"
      "  beq 8f\n"
      "6:\n"
      "  add x, x, high, lsr #1\n"
      "  cmp high, #0xf0\n"
      "  beq 5b\n"
      "  ldrsb w, [value], #1\n"
      "  products b, w\n"
      "7:\n"
      "  cmp value, last\n"
      "  bne 5b\n"
      "8:\n"
      "  ldrd w, t, [sp, #4]\n"
      "  stmia w!, {sum0, sum1, sum2, sum3}\n"
      "  str w, [sp, #4]\n"
      "  cmp w, t\n"
      "  bne 1b\n"
      "  pop {r2, r3, r4, r5}\n"
      "  stmia r5, {r0, r1, r2}\n"
      "  pop {r4-r11, pc}\n"
      ".purgem products\n .purgem four_nonzeros\n .purgem nibble\n"
      ".unreq value\n .unreq index\n .unreq x\n .unreq last\n"
      ".unreq sum0\n .unreq sum1\n .unreq sum2\n .unreq sum3\n"
      ".unreq w\n .unreq t\n .unreq x01\n .unreq x23\n"
      ".unreq low\n .unreq high\n");
}

SPARSESEP_KERNEL_FUNCTION(1x1_gap4_int8, dsp) {
  if (batch < 4) {
    sparsesep_run_dsp(weights, params, input, batch, output, scratch, multiply);
    return;
  }
  sparsesep_run_four_vectors_dsp(weights, params, input, batch, output, scratch,
                                 multiply, multiply_four);
}

#endif
