// Requantizes rows of four vectors with the DSP extension.
//
// 9.5 instructions an output where the accumulators are bounded.
#include "common/isa.h"
#include "sparse_fully_connected/dsp/eight_vectors_dsp.h"
#include "sparsesep/compiler.h"

#if SPARSESEP_HAS_DSP_LAYOUTS

// finish_rows_dsp.c explains how a row is finished. A row's parameters serve
// four outputs here.
SPARSESEP_NAKED static void finish_bounded(
    const SparsesepRows* rows __attribute__((unused)),
    uint32_t first __attribute__((unused)),
    uint32_t count __attribute__((unused)),
    const uint32_t* acc __attribute__((unused)),
    int8_t* out __attribute__((unused)),
    uint32_t stride __attribute__((unused))) {
  __asm__ volatile(
      "out .req r0\n stride .req r1\n t .req r2\n acc .req r3\n"
      "bias .req r4\n multiplier .req r5\n shifts .req r6\n"
      "zero_point .req r7\n sum0 .req r8\n sum1 .req r9\n sum2 .req r10\n"
      "sum3 .req r11\n shift .req r12\n acc_end .req lr\n"
      ".macro finish sum\n"
      "  smmulr \\sum, \\sum, t\n"
      "  add \\sum, \\sum, \\sum, asr #31\n"
      "  asrs \\sum, \\sum, shift\n"
      "  adc \\sum, \\sum, zero_point\n"
      "  ssat \\sum, #8, \\sum\n"
      ".endm\n"
      "  push {r4-r11, lr}\n"
      "  ldmia r0, {bias, multiplier, shifts, zero_point}\n"
      "  add bias, bias, r1, lsl #2\n"
      "  add multiplier, multiplier, r1, lsl #2\n"
      "  add shifts, shifts, r1\n"
      "  add acc_end, acc, r2, lsl #4\n"
      "  ldrd out, stride, [sp, #36]\n"
      "1:\n"
      "  ldr t, [bias], #4\n"
      "  ldmia acc!, {sum0, sum1, sum2, sum3}\n"
      "  lsl t, t, #1\n"
      "  add sum0, t, sum0, lsl #1\n"
      "  add sum1, t, sum1, lsl #1\n"
      "  add sum2, t, sum2, lsl #1\n"
      "  add sum3, t, sum3, lsl #1\n"
      "  ldrsb shift, [shifts], #1\n"
      "  ldr t, [multiplier], #4\n"
      "  rsb shift, shift, #0\n"
      "  finish sum3\n"
      "  finish sum2\n"
      "  finish sum1\n"
      "  finish sum0\n"
      "  add t, stride, stride, lsl #1\n"
      "  strb sum3, [out, t]\n"
      "  strb sum2, [out, stride, lsl #1]\n"
      "  strb sum1, [out, stride]\n"
      "  strb sum0, [out], #1\n"
      "  cmp acc, acc_end\n"
      "  bne 1b\n"
      "  pop {r4-r11, pc}\n"
      ".purgem finish\n .unreq out\n .unreq stride\n .unreq t\n .unreq acc\n"
      ".unreq bias\n .unreq multiplier\n .unreq shifts\n"
      ".unreq zero_point\n .unreq sum0\n .unreq sum1\n .unreq sum2\n"
      ".unreq sum3\n .unreq shift\n .unreq acc_end\n");
}

SPARSESEP_COLD
void sparsesep_finish_four_dsp(const SparsesepRows* rows, uint32_t first,
                               uint32_t count, const uint32_t* acc, int8_t* out,
                               uint32_t stride) {
  if (rows->bounded) {
    finish_bounded(rows, first, count, acc, out, stride);
    return;
  }
  for (uint32_t row = first; row < first + count; ++row, ++out) {
    for (uint32_t n = 0; n < 4; ++n) {
      sparsesep_finish_rows_general(rows, row, 1, acc++, out + n * stride);
    }
  }
}

#endif
