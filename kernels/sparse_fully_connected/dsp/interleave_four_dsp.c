#include "common/isa.h"
#include "sparse_fully_connected/dsp/eight_vectors_dsp.h"
#include "sparsesep/compiler.h"

#if SPARSESEP_HAS_DSP_LAYOUTS

// A column of four vectors takes 8 instructions: a word is x0 + x1 * 2^23. Two
// columns a round; an odd one begins in its middle.
SPARSESEP_NAKED void sparsesep_interleave_four_dsp(
    const int8_t* vectors __attribute__((unused)),
    uint32_t cols __attribute__((unused)),
    uint32_t step __attribute__((unused)),
    uint32_t* wide __attribute__((unused))) {
  __asm__ volatile(
      ".macro column\n"
      "  ldrsb r5, [r0], #1\n"
      "  ldrsb r6, [r1], #1\n"
      "  add r5, r5, r6, lsl #23\n"
      "  ldrsb r6, [r2], #1\n"
      "  ldrsb r7, [r4], #1\n"
      "  add r6, r6, r7, lsl #23\n"
      "  strd r5, r6, [r3], #16\n"
      ".endm\n"
      "  push {r4-r7, lr}\n"
      "  add lr, r0, r1\n"  // where the first vector ends
      "  lsrs r5, r1, #1\n"
      "  add r1, r0, r2\n"
      "  add r4, r1, r2, lsl #1\n"
      "  add r2, r0, r2, lsl #1\n"
      "  bcs 2f\n"
      "1:\n"
      "  column\n"
      "2:\n"
      "  column\n"
      "  cmp r0, lr\n"
      "  bne 1b\n"
      "  pop {r4-r7, pc}\n"
      ".purgem column\n");
}

#endif
