// 2x4 blocks, uint8 steps, interleaved int8 values: Armv7E-M and Armv8-M with
// DSP.
//
// As 4x4 interleaved, with half the weights for each load of inputs: 11
// instructions a block, 1.38 a weight, and 13 for each two rows.
#include "common/isa.h"
#include "sparse_fully_connected/dsp/rows_dsp.h"
#include "sparse_fully_connected/variants.h"

#if SPARSESEP_HAS_DSP

SPARSESEP_NAKED_MULTIPLY_DSP {
  __asm__ volatile(
      "value .req r0\n index .req r1\n x .req r2\n n .req r3\n"
      "counts .req r4\n rows .req r5\n wide .req r6\n low .req r7\n"
      "mixed .req r8\n w0 .req r9\n w1 .req r10\n even .req r12\n"
      "odd .req lr\n"
      ".macro columns w, x\n"
      "  smlad mixed, \\w, \\x, mixed\n"
      "  sxtb16 \\w, \\w\n"
      "  smlad low, \\w, \\x, low\n"
      ".endm\n"
      ".macro block\n"
      "  ldrb w0, [index], #1\n"
      "  add x, x, w0, lsl #3\n"
      "  ldrd even, odd, [x]\n"
      "  ldrd w0, w1, [value], #8\n"
      "  columns w0, even\n"
      "  columns w1, odd\n"
      ".endm\n"
      "  push {r0, r4-r10, lr}\n"
      "  ldmia r0, {value, index, counts, rows, wide}\n"
      "1:\n"
      "  ldrh n, [counts], #2\n"
      "  mov x, wide\n"
      "  mov low, #0\n"
      "  mov mixed, #0\n"
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
      "  sub mixed, mixed, low\n"
      "  asr mixed, mixed, #8\n"
      "  strd low, mixed, [rows], #8\n"
      "  cmp rows, wide\n"
      "  bne 1b\n"
      "  pop {r3}\n"
      "  stmia r3, {value, index, counts}\n"
      "  pop {r4-r10, pc}\n"
      ".purgem columns\n .purgem block\n .unreq value\n .unreq index\n"
      ".unreq x\n .unreq n\n .unreq counts\n .unreq rows\n .unreq wide\n"
      ".unreq low\n .unreq mixed\n .unreq w0\n .unreq w1\n .unreq even\n"
      ".unreq odd\n");
}

SPARSESEP_KERNEL(2x4_delta8_int8_woven, dsp, sparsesep_run_dsp, multiply)

#endif
