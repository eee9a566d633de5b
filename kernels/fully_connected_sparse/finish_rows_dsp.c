// Requantises rows with the DSP extension.
//
// 11.25 instructions a row where the accumulators are bounded, and 2 more where
// the activation's limits are narrower than int8.
#include "isa.h"
#include "rows.h"

#if SPARSESEP_HAS_DSP && !SPARSESEP_HAS_MVE

#include <stddef.h>

// Assembly reads the fields before it.
_Static_assert(offsetof(SparsesepRows, output_zero_point) == 12, "four words");

// Requantises rows until `out_end`, four a round. A row:
//   high = (2 * acc * multiplier + 2^31) >> 32; negative ones less 1, so that
//   halves go away from zero; the right shift leaves the last bit that it
//   shifts out in the carry, and `adc` rounds with it.
// ASR reads only the low byte of `shift`, which holds those of four rows.
__attribute__((naked, noinline)) static void finish_bounded(
    const SparsesepRows* rows __attribute__((unused)),
    uint32_t first __attribute__((unused)),
    const uint32_t* acc __attribute__((unused)),
    int8_t* out __attribute__((unused)),
    const int8_t* out_end __attribute__((unused))) {
  __asm__ volatile(
      "end .req r0\n zero .req r1\n acc .req r2\n out .req r3\n"
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
      "  push {r4-r11, lr}\n"
      "  ldmia r0, {bias, multiplier, shifts, zero_point}\n"
      "  add bias, bias, r1, lsl #2\n"
      "  add multiplier, multiplier, r1, lsl #2\n"
      "  add shifts, shifts, r1\n"
      "  ldr end, [sp, #36]\n"
      "  movs zero, #0\n"
      "1:\n"
      "  ldr shift, [shifts], #4\n"
      "  usub8 shift, zero, shift\n"
      "  finish_two_rows\n"
      "  lsr shift, shift, #8\n"
      "  finish_two_rows\n"
      "  cmp out, end\n"
      "  bne 1b\n"
      "  pop {r4-r11, pc}\n"
      ".purgem finish_two_rows\n .purgem finish_row\n"
      ".unreq end\n .unreq zero\n .unreq acc\n .unreq out\n .unreq bias\n"
      ".unreq multiplier\n .unreq shifts\n .unreq zero_point\n .unreq sum0\n"
      ".unreq sum1\n .unreq word0\n .unreq word1\n .unreq shift\n");
}

// Clamps outputs, a multiple of 4 of them.
static void clamp(const SparsesepRows* rows, int8_t* out, const int8_t* end) {
  const uint32_t low = 0x01010101u * (uint8_t)rows->activation_min;
  const uint32_t high = 0x01010101u * (uint8_t)rows->activation_max;
  uint32_t four, difference;
  __asm__ volatile(
      "1:\n"
      "  ldr %[four], [%[out]]\n"
      "  ssub8 %[difference], %[four], %[low]\n"
      "  sel %[four], %[four], %[low]\n"
      "  ssub8 %[difference], %[high], %[four]\n"
      "  sel %[four], %[four], %[high]\n"
      "  str %[four], [%[out]], #4\n"
      "  cmp %[out], %[end]\n"
      "  bne 1b\n"
      : [out] "+r"(out), [four] "=&r"(four), [difference] "=&r"(difference)
      : [low] "r"(low), [high] "r"(high), [end] "r"(end)
      : "cc", "memory");
}

int8_t* sparsesep_finish_rows(const SparsesepRows* rows, uint32_t first,
                              uint32_t count, const uint32_t* acc,
                              int8_t* out) {
  const uint32_t fast = rows->bounded ? count & ~3u : 0;
  if (fast > 0) {
    finish_bounded(rows, first, acc, out, out + fast);
    if (rows->activation_min > INT8_MIN || rows->activation_max < INT8_MAX) {
      clamp(rows, out, out + fast);
    }
  }
  out += fast;
  if (fast == count) return out;
  return sparsesep_finish_rows_general(rows, first + fast, count - fast,
                                       acc + fast, out);
}

#endif
