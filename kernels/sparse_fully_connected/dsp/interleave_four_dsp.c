#include "common/isa.h"
#include "sparse_fully_connected/dsp/eight_vectors_dsp.h"
#include "sparsesep/compiler.h"

#if SPARSESEP_HAS_DSP_LAYOUTS

// Four columns of four vectors in 34 instructions: a word is x0 + x1 * 2^23.
__attribute__((naked)) static void interleave(
    const int8_t* vectors __attribute__((unused)),
    uint32_t step __attribute__((unused)),
    uint32_t* wide __attribute__((unused)),
    uint32_t rounds __attribute__((unused))) {
  __asm__ volatile(
      ".macro column at\n"
      "  sxtb r8, r4, ror \\at\n"
      "  sxtb r9, r5, ror \\at\n"
      "  add r8, r8, r9, lsl #23\n"
      "  sxtb r9, r6, ror \\at\n"
      "  sxtb r10, r7, ror \\at\n"
      "  add r9, r9, r10, lsl #23\n"
      "  strd r8, r9, [r2], #16\n"
      ".endm\n"
      "  push {r4-r10, lr}\n"
      "  add lr, r1, r1, lsl #1\n"
      "1:\n"
      "  ldr r5, [r0, r1]\n"
      "  ldr r6, [r0, r1, lsl #1]\n"
      "  ldr r7, [r0, lr]\n"
      "  ldr r4, [r0], #4\n"
      "  column #0\n"
      "  column #8\n"
      "  column #16\n"
      "  column #24\n"
      "  subs r3, r3, #1\n"
      "  bne 1b\n"
      "  pop {r4-r10, pc}\n"
      ".purgem column\n");
}

SPARSESEP_COLD
void sparsesep_interleave_four_dsp(const int8_t* vectors, uint32_t cols,
                                   uint32_t step, uint32_t* wide) {
  if (cols >= 4) interleave(vectors, step, wide, cols / 4);
  for (uint32_t col = cols & ~3u; col < cols; ++col) {
    const int8_t* const x = vectors + col;
    for (uint32_t n = 0; n < 2; ++n) {
      wide[4 * col + n] =
          (uint32_t)x[2 * n * step] + ((uint32_t)x[(2 * n + 1) * step] << 23);
    }
  }
}

#endif
