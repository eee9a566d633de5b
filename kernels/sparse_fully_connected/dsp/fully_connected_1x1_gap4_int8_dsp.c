// 1x1 blocks, 4-bit gaps, int8 values: Armv7E-M and Armv8-M with DSP.
#include "common/isa.h"
#include "sparse_fully_connected/dsp/eight_vectors_dsp.h"
#include "sparse_fully_connected/v7m/gap4_row_v7m.h"
#include "sparse_fully_connected/variants.h"
#include "sparsesep/compiler.h"

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

// Eight vectors at once. While no gap is 15, they come in words of eight; the
// last nonzeros of a row are reached by a jump into the eight, as their gaps
// are shifted to the end of a word. A gap of 15 is left behind in a loop of up
// to four gaps. The last words reach into the first word of the weights.
//
// A nonzero: 2 instructions pass by the gap, 1 fetches the weight, 2 inputs, 4
// multiply. A word takes 12, the last one 20. 1.3 instructions a nonzero and
// vector; a row of eight vectors takes 41. In the loop a nonzero takes 17.
//
// On the stack: counts, acc, where it ends, where the inputs begin; index;
// where the weights of the row end.
SPARSESEP_NAKED static void multiply_eight(SparsesepVectorDsp* vectors
                                           __attribute__((unused))) {
  __asm__ volatile(
      "value .req r0\n x .req r1\n xa .req r2\n xb .req r3\n"
      "w .req r12\n gaps .req lr\n" SPARSESEP_EIGHT_SUMS_DSP
      ".macro products\n"
      "  ldrsb w, [value], #1\n"
      "  multiply_next\n"
      ".endm\n"
      // 36 bytes: see the jump.
      ".macro nonzero at\n"
      "  ubfx w, gaps, \\at, #4\n"
      "  add x, x, w, lsl #4\n"
      "  products\n"
      ".endm\n"
      // Not zero: a gap is 15.
      ".macro test_gaps t\n"
      "  and \\t, gaps, gaps, lsl #2\n"
      "  and \\t, \\t, \\t, lsl #1\n"
      "  tst \\t, #0x88888888\n"
      ".endm\n"
      "  push {r0, r4-r11, lr}\n"
      "  ldmia r0, {r0, r1, r2, r3, r5}\n"
      "  sub r4, r5, #256\n"
      "  mov r6, r1\n"
      "  push {r2, r3, r4, r5, r6, r7}\n"
      "1:\n"
      "  ldr x, [sp]\n"
      "  ldrh w, [x], #2\n"
      "  str x, [sp]\n"
      "  ldr x, [sp, #12]\n"
      "  clear_sums\n"
      "  add w, value, w\n"
      "  str w, [sp, #20]\n"
      "  b 3f\n"
      "  .p2align 2\n"  // adr reaches words only
      "2:\n"
      "  nonzero #0\n"
      "  nonzero #4\n"
      "  nonzero #8\n"
      "  nonzero #12\n"
      "  nonzero #16\n"
      "  nonzero #20\n"
      "  nonzero #24\n"
      "  nonzero #28\n"
      "3:\n"
      "  ldrd xa, w, [sp, #16]\n"
      "  subs w, w, value\n"
      "  beq 8f\n"
      "  ldr gaps, [xa], #4\n"
      "  subs w, w, #8\n"
      "  blo 4f\n"
      "  test_gaps xb\n"
      "  bne 5f\n"
      "  str xa, [sp, #16]\n"
      "  b 2b\n"
      // Fewer than eight are left.
      "4:\n"
      "  rsb w, w, #0\n"  // those that are missing
      "  lsl xb, w, #2\n"
      "  lsl gaps, gaps, xb\n"
      "  test_gaps xb\n"
      "  bne 5f\n"
      "  rsb xb, w, #1\n"
      "  add xa, xa, xb, asr #1\n"
      "  str xa, [sp, #16]\n"
      "  adr xb, 2b\n"
      "  add xb, xb, w, lsl #2\n"
      "  add xb, xb, w, lsl #5\n"
      "  mov pc, xb\n"
      // One by one, up to four. A bit marks their end.
      "5:\n"
      "  ldrh gaps, [xa, #-4]\n"
      "  sub xa, xa, #2\n"
      "  str xa, [sp, #16]\n"
      "  orr gaps, gaps, #0x10000\n"
      "6:\n"
      "  and w, gaps, #15\n"
      "  lsr gaps, gaps, #4\n"
      "  add x, x, w, lsl #4\n"
      "  cmp w, #15\n"
      "  beq 7f\n"
      "  products\n"
      "  ldr w, [sp, #20]\n"
      "  cmp value, w\n"
      "  beq 9f\n"
      "7:\n"
      "  cmp gaps, #1\n"
      "  bne 6b\n"
      "  b 3b\n"
      // The next row starts at a whole byte.
      "9:\n"
      "  cmp gaps, #0x100\n"
      "  blo 8f\n"
      "  ldr xa, [sp, #16]\n"
      "  sub xa, xa, #1\n"
      "  str xa, [sp, #16]\n"
      "8:\n"
      "  split_sums\n"
      "  store_sums #4\n"
      "  bne 1b\n"
      "  pop {r2, r3, r4, r5, r6, r7}\n"
      "  mov r1, r6\n"
      "  pop {r4}\n"
      "  stmia r4, {r0, r1, r2}\n"
      "  pop {r4-r11, pc}\n"
      ".purgem products\n .purgem nonzero\n .purgem test_gaps\n"
      ".unreq value\n .unreq x\n .unreq xa\n .unreq xb\n .unreq w\n"
      ".unreq gaps\n" SPARSESEP_END_OF_EIGHT_SUMS_DSP);
}

SPARSESEP_KERNEL(1x1_gap4_int8, dsp, sparsesep_run_eight_vectors_dsp, multiply,
                 multiply_eight)

#endif
