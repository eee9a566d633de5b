#include "common/isa.h"
#include "sparse_fully_connected/dsp/four_vectors_dsp.h"
#include "sparsesep/compiler.h"

#if SPARSESEP_HAS_DSP_LAYOUTS

// Four columns of four vectors in 26 instructions.
__attribute__((naked)) static void interleave(
    const int8_t* vectors __attribute__((unused)),
    uint32_t step __attribute__((unused)),
    int16_t* wide __attribute__((unused)),
    uint32_t rounds __attribute__((unused))) {
  __asm__ volatile(
      "  push {r4-r11, lr}\n"
      "  add lr, r1, r1, lsl #1\n"
      "1:\n"
      "  ldr r5, [r0, r1]\n"
      "  ldr r6, [r0, r1, lsl #1]\n"
      "  ldr r7, [r0, lr]\n"
      "  ldr r4, [r0], #4\n"
      "  sxtb16 r8, r4\n"
      "  sxtb16 r10, r5\n"
      "  sxtb16 r9, r6\n"
      "  sxtb16 r11, r7\n"
      "  sxtb16 r4, r4, ror #8\n"
      "  sxtb16 r5, r5, ror #8\n"
      "  sxtb16 r6, r6, ror #8\n"
      "  sxtb16 r7, r7, ror #8\n"
      "  pkhbt r12, r8, r10, lsl #16\n"
      "  pkhtb r10, r10, r8, asr #16\n"
      "  pkhbt r8, r9, r11, lsl #16\n"
      "  pkhtb r11, r11, r9, asr #16\n"
      "  strd r12, r8, [r2], #8\n"
      "  pkhbt r12, r4, r5, lsl #16\n"
      "  pkhtb r5, r5, r4, asr #16\n"
      "  pkhbt r8, r6, r7, lsl #16\n"
      "  pkhtb r7, r7, r6, asr #16\n"
      "  strd r12, r8, [r2], #8\n"
      "  strd r10, r11, [r2], #8\n"
      "  strd r5, r7, [r2], #8\n"
      "  subs r3, r3, #1\n"
      "  bne 1b\n"
      "  pop {r4-r11, pc}\n");
}

SPARSESEP_COLD
void sparsesep_interleave_four_dsp(const int8_t* vectors, uint32_t cols,
                                   uint32_t step, int16_t* wide) {
  if (cols >= 4) interleave(vectors, step, wide, cols / 4);
  for (uint32_t col = cols & ~3u; col < cols; ++col) {
    for (uint32_t n = 0; n < 4; ++n) {
      wide[4 * col + n] = vectors[n * step + col];
    }
  }
}

#endif
