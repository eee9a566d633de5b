// 1x1 blocks, 4-bit gaps, values out of a palette of 16: Armv7E-M and Armv8-M
// with DSP.
#include "common/isa.h"
#include "sparse_fully_connected/dsp/eight_vectors_dsp.h"
#include "sparse_fully_connected/v7m/gap4_palette4_rows_v7m.h"
#include "sparse_fully_connected/variants.h"
#include "sparsesep/compiler.h"

#if SPARSESEP_HAS_DSP_LAYOUTS

_Static_assert(offsetof(SparsesepPackedHeader, palette_offset) == 56 &&
                   offsetof(SparsesepVectorDsp, weights) == 32,
               "assembly reads them");

// Eight vectors at once. While no gap is 15, gaps and codes come in words of
// eight; the last nonzeros of a row are reached by a jump into the eight, as
// both are shifted to the end of their words. A gap of 15 is left behind in a
// loop of up to four gaps. Such gaps let codes start at a high nibble (`odd`).
// The last words reach into the sections behind.
//
// A nonzero: 2 instructions pass by the gap, 2 fetch the weight, 2 inputs, 4
// multiply. A word takes 18, the last one 36. 1.5 instructions a nonzero and
// vector; a row of eight vectors takes 44. In the loop a nonzero takes 20.
//
// On the stack: palette; counts, acc, where it ends, where the inputs begin;
// index, value, odd, nonzeros that are left.
SPARSESEP_NAKED static void multiply_eight(SparsesepVectorDsp* vectors
                                           __attribute__((unused))) {
  __asm__ volatile(
      "codes .req r0\n x .req r1\n xa .req r2\n xb .req r3\n"
      "w .req r12\n gaps .req lr\n" SPARSESEP_EIGHT_SUMS_DSP
      ".macro products\n"
      "  ldrsb w, [sp, w]\n"
      "  multiply_next\n"
      ".endm\n"
      // 40 bytes: see the jump.
      ".macro nonzero at\n"
      "  ubfx w, gaps, \\at, #4\n"
      "  add x, x, w, lsl #4\n"
      "  ubfx w, codes, \\at, #4\n"
      "  products\n"
      ".endm\n"
      // Not zero: a gap is 15.
      ".macro test_gaps\n"
      "  and xb, gaps, gaps, lsl #2\n"
      "  and xb, xb, xb, lsl #1\n"
      "  tst xb, #0x88888888\n"
      ".endm\n"
      "  push {r0, r4-r11, lr}\n"
      "  ldr r1, [r0, #32]\n"
      "  ldr r4, [r1, #56]\n"
      "  add r4, r4, r1\n"
      "  ldmia r4, {r4, r5, r6, r7}\n"
      "  ldmia r0, {r1, r8, r9, r10, r12}\n"
      "  sub r11, r12, #256\n"
      "  push {r0-r3}\n"  // room
      "  strd r8, r1, [sp]\n"
      "  mov r0, #0\n"
      "  str r0, [sp, #8]\n"
      "  push {r9, r10, r11, r12}\n"
      "  push {r4, r5, r6, r7}\n"
      "1:\n"
      "  ldr x, [sp, #16]\n"
      "  ldrh w, [x], #2\n"
      "  str x, [sp, #16]\n"
      "  ldr x, [sp, #28]\n"
      "  clear_sums\n"
      "  str w, [sp, #44]\n"
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
      "  ldr w, [sp, #44]\n"
      "  cmp w, #0\n"
      "  beq 8f\n"
      "  ldr xa, [sp, #32]\n"
      "  subs w, w, #8\n"
      "  ldr gaps, [xa], #4\n"
      "  blo 4f\n"
      "  test_gaps\n"
      "  bne 5f\n"
      "  str xa, [sp, #32]\n"
      "  ldrd xa, xb, [sp, #36]\n"
      "  str w, [sp, #44]\n"
      "  ldr codes, [xa], #4\n"
      "  str xa, [sp, #36]\n"
      "  cmp xb, #0\n"
      "  beq 2b\n"
      "  ldrb w, [xa]\n"
      "  lsr codes, codes, #4\n"
      "  orr codes, codes, w, lsl #28\n"
      "  b 2b\n"
      // Fewer than eight are left.
      "4:\n"
      "  rsb w, w, #0\n"  // those that are missing
      "  lsl xb, w, #2\n"
      "  lsl gaps, gaps, xb\n"
      "  test_gaps\n"
      "  bne 5f\n"
      "  rsb xb, w, #1\n"
      "  add xa, xa, xb, asr #1\n"
      "  str xa, [sp, #32]\n"
      "  ldrd xa, xb, [sp, #36]\n"
      "  ldr codes, [xa]\n"
      "  add xa, xa, #4\n"
      "  sub xb, xb, w\n"
      "  add xb, xb, #1\n"
      "  add xa, xa, xb, asr #1\n"
      "  ldr xb, [sp, #40]\n"
      "  str xa, [sp, #36]\n"
      "  lsl xb, xb, #2\n"
      "  lsr codes, codes, xb\n"
      "  lsl xb, w, #2\n"
      "  lsl codes, codes, xb\n"
      "  movs xa, #0\n"
      "  movs xb, #0\n"
      "  strd xa, xb, [sp, #40]\n"
      "  adr xb, 2b\n"
      "  add xb, xb, w, lsl #3\n"
      "  add xb, xb, w, lsl #5\n"
      "  mov pc, xb\n"
      // One by one, up to four. Bits mark the ends of gaps and codes.
      "5:\n"
      "  ldrh gaps, [xa, #-4]\n"
      "  sub xa, xa, #2\n"
      "  orr gaps, gaps, #0x10000\n"
      "  str xa, [sp, #32]\n"
      "  ldrd xa, xb, [sp, #36]\n"
      "  ldr codes, [xa]\n"
      "  lsl w, xb, #2\n"
      "  lsr codes, codes, w\n"
      "  uxth codes, codes\n"
      "  orr codes, codes, #0x10000\n"
      "6:\n"
      "  and w, gaps, #15\n"
      "  lsr gaps, gaps, #4\n"
      "  add x, x, w, lsl #4\n"
      "  cmp w, #15\n"
      "  beq 7f\n"
      "  and w, codes, #15\n"
      "  lsr codes, codes, #4\n"
      "  products\n"
      "  ldr w, [sp, #44]\n"
      "  subs w, w, #1\n"
      "  str w, [sp, #44]\n"
      "  beq 9f\n"
      "7:\n"
      "  cmp gaps, #1\n"
      "  bne 6b\n"
      "  b 10f\n"
      // The next row starts at a whole byte.
      "9:\n"
      "  cmp gaps, #0x100\n"
      "  blo 10f\n"
      "  ldr w, [sp, #32]\n"
      "  sub w, w, #1\n"
      "  str w, [sp, #32]\n"
      "10:\n"
      "  clz w, codes\n"
      "  sub w, w, #15\n"  // four times the codes that were taken
      "  ldrd xa, xb, [sp, #36]\n"
      "  add xb, xb, w, lsr #2\n"
      "  add xa, xa, xb, lsr #1\n"
      "  and xb, xb, #1\n"
      "  strd xa, xb, [sp, #36]\n"
      "  b 3b\n"
      "8:\n"
      "  split_sums\n"
      "  ldrd xa, xb, [sp, #36]\n"
      "  add xa, xa, xb\n"
      "  movs xb, #0\n"
      "  strd xa, xb, [sp, #36]\n"
      "  store_sums #20\n"
      "  bne 1b\n"
      "  ldr r2, [sp, #16]\n"
      "  ldrd r1, r0, [sp, #32]\n"
      "  add sp, sp, #48\n"
      "  pop {r4}\n"
      "  stmia r4, {r0, r1, r2}\n"
      "  pop {r4-r11, pc}\n"
      ".purgem products\n .purgem nonzero\n .purgem test_gaps\n"
      ".unreq codes\n .unreq x\n .unreq xa\n .unreq xb\n .unreq w\n"
      ".unreq gaps\n" SPARSESEP_END_OF_EIGHT_SUMS_DSP);
}

SPARSESEP_KERNEL_FUNCTION(1x1_gap4_palette4, dsp) {
  const int8_t* const x = input;
  int8_t* const out = output;
  const int32_t done = sparsesep_multiply_eights_dsp(
      weights, params, x, batch, out, scratch, multiply_eight);
  sparsesep_run_row_groups(weights, params, x + done * params->input_step,
                           batch - done, out + (uint32_t)done * weights->rows,
                           scratch, sparsesep_gap4_palette4_rows_v7m);
}

#endif
