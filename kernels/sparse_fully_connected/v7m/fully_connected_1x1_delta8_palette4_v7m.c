// 1x1 blocks, uint8 steps, values out of a palette of 16: Armv7-M.
//
// 6.5 instructions a nonzero: step, add, input, 2 for the weight, mla, and 4
// for 8 rounds; 9 for those after the last whole four of a row, whose codes
// are read with a byte after them: where codes end, the palette begins.
#include <stddef.h>

#include "common/isa.h"
#include "sparse_fully_connected/row_groups.h"
#include "sparse_fully_connected/variants.h"

#if SPARSESEP_HAS_V7M

_Static_assert(offsetof(SparsesepPackedHeader, palette_offset) == 56,
               "read by number below");

SPARSESEP_NAKED_MULTIPLY {
  __asm__ volatile(
      "code .req r0\n x .req r1\n column .req r2\n palette .req r3\n"
      "step .req r4\n input .req r5\n w .req r6\n codes .req r7\n"
      "counts .req r8\n sum .req r9\n groups .req r10\n rows .req r11\n"
      "n .req r12\n end .req lr\n"
      ".macro nonzero\n"
      "  ldrb input, [step], #1\n"
      "  ldrsb w, [palette, w]\n"
      "  adds column, column, input\n"
      "  ldrsb input, [x, column]\n"
      "  mla sum, w, input, sum\n"
      ".endm\n"
      ".macro four\n"
      "  ldrh codes, [code], #2\n"
      "  and w, codes, #15\n"
      "  nonzero\n"
      "  ubfx w, codes, #4, #4\n"
      "  nonzero\n"
      "  ubfx w, codes, #8, #4\n"
      "  nonzero\n"
      "  lsrs w, codes, #12\n"
      "  nonzero\n"
      ".endm\n"
      "  push {r0, r4-r11, lr}\n"
      "  mov groups, r2\n"
      "  mov rows, r3\n"
      "  ldmia r0, {r2, r4, r5, r6}\n"
      "  mov counts, r2\n"
      "  mov code, r5\n"
      "  ldr palette, [r6, #56]\n"
      "  add palette, palette, r6\n"
      "1:\n"
      "  ldrh n, [counts], #2\n"
      "  movs column, #0\n"
      "  mov sum, column\n"
      "  bic end, n, #3\n"
      "  add end, end, step\n"
      "  lsls w, n, #29\n"  // bit 2 of the count to sign: enter halfway
      "  bpl 4f\n"
      "  b 3f\n"
      "2:\n"
      "  four\n"
      "3:\n"
      "  four\n"
      "4:\n"
      "  cmp step, end\n"
      "  bne 2b\n"
      "  ands n, n, #3\n"
      "  beq 6f\n"
      "  ldrh codes, [code], #1\n"
      "  cmp n, #3\n"
      "  it eq\n"
      "  addeq code, code, #1\n"
      "5:\n"
      "  and w, codes, #15\n"
      "  nonzero\n"
      "  lsrs codes, codes, #4\n"
      "  subs n, n, #1\n"
      "  bne 5b\n"
      "6:\n"
      "  str sum, [rows], #4\n"
      "  subs groups, groups, #1\n"
      "  bne 1b\n"
      "  pop {r3}\n"
      "  str counts, [r3]\n"
      "  strd step, code, [r3, #4]\n"
      "  pop {r4-r11, pc}\n"
      ".purgem nonzero\n .purgem four\n .unreq code\n .unreq x\n"
      ".unreq column\n .unreq palette\n .unreq step\n .unreq input\n"
      ".unreq w\n .unreq codes\n .unreq counts\n .unreq sum\n"
      ".unreq groups\n .unreq rows\n .unreq n\n .unreq end\n");
}

SPARSESEP_KERNEL(1x1_delta8_palette4, v7m, sparsesep_run_row_groups, multiply)

#endif
