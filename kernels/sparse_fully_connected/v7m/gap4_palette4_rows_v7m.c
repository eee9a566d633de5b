// Rows of 4-bit gaps and values out of a palette of 16: Armv7-M.
//
// 10.5 instructions a nonzero, and 4.5 for each gap of 15.
#include "sparse_fully_connected/v7m/gap4_palette4_rows_v7m.h"
#include "common/isa.h"
#include "sparsesep/compiler.h"

#if SPARSESEP_HAS_V7M

_Static_assert(offsetof(SparsesepPackedHeader, palette_offset) == 56,
               "assembly reads it");

// Gaps and codes come two a byte, and escapes let one run ahead of the other:
// each of the four combinations has its own piece of code. Of two letters the
// first says which nibble holds the gap, low or high, the second which one
// holds the code. Naked, as compilers keep r7 for themselves at -O0.
SPARSESEP_NAKED void sparsesep_gap4_palette4_rows_v7m(
    SparsesepRowStreams* streams __attribute__((unused)),
    const int8_t* vector __attribute__((unused)),
    uint32_t groups __attribute__((unused)),
    uint32_t* acc __attribute__((unused))) {
  __asm__ volatile(
      "code .req r0\n gaps .req r1\n x .req r2\n n .req r3\n"
      "byte .req r4\n input .req r5\n w .req r6\n palette .req r7\n"
      "codes .req r8\n sum .req r9\n groups .req r10\n rows .req r11\n"
      "vector .req r12\n counts .req lr\n"
      ".macro low_gap\n"
      "  ldrb byte, [gaps], #1\n"
      "  and input, byte, #15\n"
      "  add x, x, input\n"
      "  cmp input, #15\n"
      ".endm\n"
      ".macro high_gap\n"
      "  add x, x, byte, lsr #4\n"
      "  cmp byte, #0xf0\n"
      ".endm\n"
      ".macro low_code\n"
      "  ldrb codes, [code], #1\n"
      "  and w, codes, #15\n"
      ".endm\n"
      ".macro high_code\n"
      "  lsr w, codes, #4\n"
      ".endm\n"
      ".macro nonzero\n"
      "  ldrsb input, [x], #1\n"
      "  ldrsb w, [palette, w]\n"
      "  mla sum, w, input, sum\n"
      "  subs n, n, #1\n"
      ".endm\n"
      "  push {r0, r4-r11, lr}\n"
      "  mov vector, r1\n"
      "  mov groups, r2\n"
      "  mov rows, r3\n"
      "  ldmia r0, {r4, r5, r6, r7}\n"
      "  mov counts, r4\n"
      "  mov gaps, r5\n"
      "  mov code, r6\n"
      "  ldr r4, [r7, #56]\n"
      "  add palette, palette, r4\n"
      "6:\n"
      "  ldrh n, [counts], #2\n"
      "  mov x, vector\n"
      "  mov sum, #0\n"
      "  cbz n, 5f\n"
      "1:\n"  // LL
      "  low_gap\n"
      "  beq 4f\n"
      "  low_code\n"
      "  nonzero\n"
      "  beq 5f\n"
      "2:\n"  // HH
      "  high_gap\n"
      "  bhs 3f\n"
      "  high_code\n"
      "  nonzero\n"
      "  bne 1b\n"
      "  b 5f\n"
      "3:\n"  // LH
      "  low_gap\n"
      "  beq 2b\n"
      "  high_code\n"
      "  nonzero\n"
      "  beq 5f\n"
      "4:\n"  // HL
      "  high_gap\n"
      "  bhs 1b\n"
      "  low_code\n"
      "  nonzero\n"
      "  bne 3b\n"
      "5:\n"
      "  str sum, [rows], #4\n"
      "  subs groups, groups, #1\n"
      "  bne 6b\n"
      "  pop {r3}\n"
      "  str counts, [r3]\n"
      "  strd gaps, code, [r3, #4]\n"
      "  pop {r4-r11, pc}\n"
      ".purgem low_gap\n .purgem high_gap\n .purgem low_code\n"
      ".purgem high_code\n .purgem nonzero\n .unreq code\n"
      ".unreq gaps\n .unreq x\n .unreq n\n .unreq byte\n"
      ".unreq input\n .unreq w\n .unreq palette\n .unreq codes\n"
      ".unreq sum\n .unreq groups\n .unreq rows\n .unreq vector\n"
      ".unreq counts\n");
}

#endif
