// Requantizes rows of four vectors on Armv7-M.
//
// 10.5 instructions an output where the accumulators are bounded, 4 more where
// the activation's limits are narrower than int8.
#include "sparse_fully_connected/v7m/run_four_vectors_v7m.h"
#include "sparsesep/compiler.h"

#if SPARSESEP_HAS_FOUR_V7M

#include <stddef.h>

// Assembly reads the fields.
_Static_assert(offsetof(SparsesepRows, output_zero_point) == 12 &&
                   offsetof(SparsesepRows, activation_min) == 16 &&
                   offsetof(SparsesepRows, activation_max) == 20,
               "six words");

// clang-format off

// A naked function. How a row is finished is told in finish_rows_v7m.c; its
// parameters serve four outputs here. ZERO turns the zero point at r2 into what
// is added to outputs, r6 being the lower limit; LIMIT brings one into limits.
//
// r0 out, r1 stride, r2 zero point, r3 acc, r4-r7 sums, r8 parameter, r9 low
// half, r10 shift, r11 bias, r12 multiplier, lr shifts. On the stack: where the
// accumulators end, the range between the limits, the lower limit.
#define FINISH_BOUNDED(NAME, ZERO, LIMIT)                      \
  static SPARSESEP_NAKED void NAME(                            \
      const SparsesepRows* rows __attribute__((unused)),       \
      uint32_t first __attribute__((unused)),                  \
      uint32_t count __attribute__((unused)),                  \
      const uint32_t* acc __attribute__((unused)),             \
      int8_t* out __attribute__((unused)),                     \
      uint32_t stride __attribute__((unused))) {               \
    __asm__ volatile(                                          \
        ".macro finish sum\n"                                  \
        "  smull r9, \\sum, \\sum, r8\n"                       \
        "  lsls r9, r9, #1\n"                                  \
        "  adc \\sum, \\sum, \\sum, asr #31\n"                 \
        "  asrs \\sum, \\sum, r10\n"                           \
        "  adc \\sum, \\sum, r2\n"                             \
        LIMIT                                                  \
        ".endm\n"                                              \
        "  push {r4-r11, lr}\n"                                \
        "  ldrd r6, r5, [r0, #16]\n"                           \
        "  sub r5, r5, r6\n"                                   \
        "  add r4, r3, r2, lsl #4\n"                           \
        "  push {r4, r5, r6}\n"                                \
        "  mov r4, r1\n"                                       \
        "  ldrd r11, r12, [r0]\n"                              \
        "  ldr lr, [r0, #8]\n"                                 \
        "  ldr r2, [r0, #12]\n"                                \
        ZERO                                                   \
        "  add r11, r11, r4, lsl #2\n"                         \
        "  add r12, r12, r4, lsl #2\n"                         \
        "  add lr, lr, r4\n"                                   \
        "  ldrd r0, r1, [sp, #48]\n"                           \
        "1:\n"                                                 \
        "  ldr r8, [r11], #4\n"                                \
        "  ldmia r3!, {r4, r5, r6, r7}\n"                      \
        "  lsl r8, r8, #1\n"                                   \
        "  add r4, r8, r4, lsl #1\n"                           \
        "  add r5, r8, r5, lsl #1\n"                           \
        "  add r6, r8, r6, lsl #1\n"                           \
        "  add r7, r8, r7, lsl #1\n"                           \
        "  ldr r8, [r12], #4\n"                                \
        "  ldrsb r10, [lr], #1\n"                              \
        "  rsb r10, r10, #0\n"                                 \
        "  finish r4\n"                                        \
        "  finish r5\n"                                        \
        "  finish r6\n"                                        \
        "  finish r7\n"                                        \
        "  add r9, r1, r1, lsl #1\n"                           \
        "  strb r7, [r0, r9]\n"                                \
        "  strb r6, [r0, r1, lsl #1]\n"                        \
        "  strb r5, [r0, r1]\n"                                \
        "  strb r4, [r0], #1\n"                                \
        "  ldr r8, [sp]\n"                                     \
        "  cmp r3, r8\n"                                       \
        "  bne 1b\n"                                           \
        "  add sp, sp, #12\n"                                  \
        "  pop {r4-r11, pc}\n"                                 \
        ".purgem finish\n");                                   \
  }

FINISH_BOUNDED(finish_int8, "", "  ssat \\sum, #8, \\sum\n")

// Counts from the lower limit: below 0 becomes 0, above the range the range.
FINISH_BOUNDED(finish_limited,
    "  sub r2, r2, r6\n",
    "  ldr r9, [sp, #4]\n"
    "  cmp \\sum, r9\n"
    "  bls 2f\n"
    "  bic \\sum, r9, \\sum, asr #31\n"
    "2:\n"
    "  ldr r9, [sp, #8]\n"
    "  add \\sum, \\sum, r9\n")

// clang-format on

SPARSESEP_COLD
void sparsesep_finish_four_v7m(const SparsesepRows* rows, uint32_t first,
                               uint32_t count, const uint32_t* acc, int8_t* out,
                               uint32_t stride) {
  if (rows->bounded) {
    if (rows->activation_max - rows->activation_min == 255) {
      finish_int8(rows, first, count, acc, out, stride);
    } else {
      finish_limited(rows, first, count, acc, out, stride);
    }
    return;
  }
  for (uint32_t row = first; row < first + count; ++row, ++out) {
    for (uint32_t n = 0; n < 4; ++n) {
      sparsesep_finish_rows_general(rows, row, 1, acc++, out + n * stride);
    }
  }
}

#endif
