// 1x1 blocks, uint8 steps, values out of a palette of 16: Armv7E-M and Armv8-M
// with DSP.
//
// A table of 256 words says for each byte of codes what its two weights are; it
// costs 504 instructions a call. A pair of nonzeros: 2 instructions fetch its
// weights, 4 its inputs, 2 multiply; a load of steps comes to each 4, and 2 for
// the loop to each 8. 4.5 instructions a nonzero, and 16 a row.
//
// Scratch: uint32 acc[rows of a portion], table[256].
#include "common/isa.h"
#include "sparse_fully_connected/dsp/rows_dsp.h"
#include "sparse_fully_connected/variants.h"
#include "sparsesep/compiler.h"

#if SPARSESEP_HAS_DSP_LAYOUTS

// table[low | high << 4] = palette[low] in the lower half, palette[high] in the
// upper one. Eight low codes with each of the high ones, then the other eight.
SPARSESEP_NAKED static void make_pairs(const int8_t* palette
                                       __attribute__((unused)),
                                       uint32_t* table
                                       __attribute__((unused))) {
  __asm__ volatile(
      "palette .req r0\n table .req r1\n high .req r2\n next .req r3\n"
      "w02 .req r8\n w13 .req r9\n w46 .req r10\n w57 .req r11\n"
      "end .req r12\n first .req lr\n"
      ".macro four even, odd\n"
      "  pkhbt r4, \\even, high\n"
      "  pkhbt r5, \\odd, high\n"
      "  pkhtb r6, high, \\even, asr #16\n"
      "  pkhtb r7, high, \\odd, asr #16\n"
      "  stmia table!, {r4-r7}\n"
      ".endm\n"
      "  push {r4-r11, lr}\n"
      "  mov first, palette\n"
      "  add end, palette, #16\n"
      "1:\n"
      "  ldmia palette!, {r4, r5}\n"
      "  sxtb16 w02, r4\n"
      "  sxtb16 w13, r4, ror #8\n"
      "  sxtb16 w46, r5\n"
      "  sxtb16 w57, r5, ror #8\n"
      "  mov next, first\n"
      "2:\n"
      "  ldrsb high, [next], #1\n"
      "  lsls high, high, #16\n"
      "  four w02, w13\n"
      "  four w46, w57\n"
      "  adds table, table, #32\n"
      "  cmp next, end\n"
      "  bne 2b\n"
      "  sub table, table, #992\n"
      "  cmp palette, end\n"
      "  bne 1b\n"
      "  pop {r4-r11, pc}\n"
      ".purgem four\n .unreq palette\n .unreq table\n .unreq high\n"
      ".unreq next\n .unreq w02\n .unreq w13\n .unreq w46\n .unreq w57\n"
      ".unreq end\n .unreq first\n");
}

// The table lies where the accumulators end.
SPARSESEP_NAKED_MULTIPLY_DSP {
  __asm__ volatile(
      "codes .req r0\n index .req r1\n x .req r2\n n .req r3\n"
      "w .req r4\n input0 .req r5\n input1 .req r6\n zero .req r7\n"
      "rows .req r8\n steps .req r9\n sum .req r10\n table .req r11\n"
      "counts .req r12\n end .req lr\n"
      // `first` and `second`: how far to rotate their steps.
      ".macro pair first, second\n"
      "  uxtab x, x, steps, ror #\\first\n"
      "  ldrb w, [codes], #1\n"
      "  ldrsb input0, [x, zero]\n"
      "  uxtab x, x, steps, ror #\\second\n"
      "  ldr w, [table, w, lsl #2]\n"
      "  ldrsb input1, [x, zero]\n"
      "  smlabb sum, w, input0, sum\n"
      "  smlatb sum, w, input1, sum\n"
      ".endm\n"
      ".macro four\n"
      "  ldr steps, [index], #4\n"
      "  pair 0, 8\n"
      "  pair 16, 24\n"
      ".endm\n"
      "  push {r0, r4-r11, lr}\n"
      "  ldmia r0, {r0, r1, r2, r3, r4, r5}\n"
      "  push {r5}\n"  // x
      "  mov rows, r3\n"
      "  mov counts, r2\n"
      "  mov table, r4\n"
      "  movs zero, #0\n"
      "1:\n"
      "  ldrh n, [counts], #2\n"
      "  ldr x, [sp]\n"
      "  mov sum, zero\n"
      "  bic end, n, #3\n"
      "  add end, end, index\n"
      "  lsls w, n, #29\n"  // bit 2 of the count to sign
      "  bpl 4f\n"
      "  b 3f\n"
      "2:\n"
      "  four\n"
      "3:\n"
      "  four\n"
      "4:\n"
      "  cmp index, end\n"
      "  bne 2b\n"
      "  lsls n, n, #31\n"  // bit 1 of the count to carry, bit 0 to sign
      "  bcc 5f\n"
      "  ldrh steps, [index], #2\n"
      "  pair 0, 8\n"
      "5:\n"
      "  bpl 6f\n"
      "  ldrb input0, [index], #1\n"
      "  ldrb w, [codes], #1\n"
      "  ldrsb input0, [x, input0]\n"
      "  ldr w, [table, w, lsl #2]\n"
      "  smlabb sum, w, input0, sum\n"
      "6:\n"
      "  str sum, [rows], #4\n"
      "  cmp rows, table\n"
      "  bne 1b\n"
      "  pop {r3, r4}\n"
      "  stmia r4, {codes, index, counts}\n"
      "  pop {r4-r11, pc}\n"
      ".purgem pair\n .purgem four\n .unreq codes\n .unreq index\n"
      ".unreq x\n .unreq n\n .unreq zero\n .unreq input0\n"
      ".unreq input1\n .unreq rows\n .unreq w\n .unreq steps\n"
      ".unreq sum\n .unreq table\n .unreq counts\n .unreq end\n");
}

SPARSESEP_KERNEL_FUNCTION(1x1_delta8_palette4, dsp) {
  make_pairs(sparsesep_section(weights, weights->palette_offset),
             (uint32_t*)scratch + sparsesep_dsp_portion(weights));
  sparsesep_run_dsp(weights, params, input, batch, output, scratch, multiply);
}

#endif
