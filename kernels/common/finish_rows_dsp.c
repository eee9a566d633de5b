// Requantizes rows with the DSP extension.
//
// 11.25 instructions a row where the accumulators are bounded, and 2 more where
// the activation's limits are narrower than int8.
#include "common/isa.h"
#include "common/rows.h"

#if SPARSESEP_HAS_DSP && !SPARSESEP_HAS_MVE

#include <stddef.h>
#include "sparsesep/compiler.h"

// Assembly reads the fields.
_Static_assert(offsetof(SparsesepRows, output_zero_point) == 12 &&
                   offsetof(SparsesepRows, activation_min) == 16 &&
                   offsetof(SparsesepRows, bounded) == 24,
               "seven words");

// Four rows a round; the general function takes the up to three after them, or
// all where they are not bounded. A row:
//   high = (2 * acc * multiplier + 2^31) >> 32; negative ones less 1, so that
//   halves go away from zero; the right shift leaves the last bit that it
//   shifts out in the carry, and `adc` rounds with it.
// ASR reads only the low byte of `shift`, which holds those of four rows.
SPARSESEP_NAKED int8_t* sparsesep_finish_rows(
    const SparsesepRows* rows __attribute__((unused)),
    uint32_t first __attribute__((unused)),
    uint32_t count __attribute__((unused)),
    const uint32_t* acc __attribute__((unused)),
    int8_t* out __attribute__((unused))) {
  __asm__ volatile(
      "end .req r0\n zero .req r1\n out .req r2\n acc .req r3\n"
      "bias .req r4\n multiplier .req r5\n shifts .req r6\n"
      "zero_point .req r7\n sum0 .req r8\n sum1 .req r9\n"
      "word0 .req r10\n word1 .req r11\n shift .req r12\n"
      ".macro finish_row sum, word\n"
      "  lsl \\sum, \\sum, #1\n"
      "  smmulr \\sum, \\sum, \\word\n"
      "  add \\sum, \\sum, \\sum, asr #31\n"
      "  asrs \\sum, \\sum, shift\n"
      "  adc \\sum, \\sum, zero_point\n"
      "  ssat \\sum, #8, \\sum\n"
      "  strb \\sum, [out], #1\n"
      ".endm\n"
      ".macro finish_two_rows\n"
      "  ldrd sum0, sum1, [acc], #8\n"
      "  ldrd word0, word1, [bias], #8\n"
      "  add sum0, sum0, word0\n"
      "  add sum1, sum1, word1\n"
      "  ldrd word0, word1, [multiplier], #8\n"
      "  finish_row sum0, word0\n"
      "  lsr shift, shift, #8\n"
      "  finish_row sum1, word1\n"
      ".endm\n"
      "  ldr r12, [r0, #24]\n"
      "  cmp r12, #0\n"
      "  it ne\n"
      "  bicsne r12, r2, #3\n"
      "  bne 1f\n"
      "  b sparsesep_finish_rows_general\n"
      "1:\n"
      "  push {r0, r1, r2, r4-r11, lr}\n"
      "  ldmia r0, {bias, multiplier, shifts, zero_point}\n"
      "  add bias, bias, r1, lsl #2\n"
      "  add multiplier, multiplier, r1, lsl #2\n"
      "  add shifts, shifts, r1\n"
      "  ldr out, [sp, #48]\n"
      "  add end, out, r12\n"
      "  movs zero, #0\n"
      "2:\n"
      "  ldr shift, [shifts], #4\n"
      "  usub8 shift, zero, shift\n"
      "  finish_two_rows\n"
      "  lsr shift, shift, #8\n"
      "  finish_two_rows\n"
      "  cmp out, end\n"
      "  bne 2b\n"
      "  ldmia sp, {r4, r5, r6}\n"  // rows, first, count
      "  ldrd r7, r8, [r4, #16]\n"
      "  sub r8, r8, r7\n"
      "  cmp r8, #255\n"
      "  bne 4f\n"
      "3:\n"
      "  add sp, sp, #12\n"
      "  ands r7, r6, #3\n"
      "  bne 5f\n"
      "  pop {r4-r11, pc}\n"
      "4:\n"  // limits narrower than int8
      "  mov r7, end\n"
      "  mov r8, acc\n"
      "  mov r2, end\n"
      "  ldr r1, [sp, #48]\n"
      "  mov r0, r4\n"
      "  bl sparsesep_clamp_dsp\n"
      "  mov end, r7\n"
      "  mov acc, r8\n"
      "  b 3b\n"
      "5:\n"  // the rows after
      "  str end, [sp, #36]\n"
      "  mov r0, r4\n"
      "  mov r2, r7\n"
      "  bic r6, r6, #3\n"
      "  add r1, r5, r6\n"
      "  pop {r4-r11, lr}\n"
      "  b sparsesep_finish_rows_general\n"
      ".purgem finish_two_rows\n .purgem finish_row\n"
      ".unreq end\n .unreq zero\n .unreq acc\n .unreq out\n .unreq bias\n"
      ".unreq multiplier\n .unreq shifts\n .unreq zero_point\n .unreq sum0\n"
      ".unreq sum1\n .unreq word0\n .unreq word1\n .unreq shift\n");
}

#endif
