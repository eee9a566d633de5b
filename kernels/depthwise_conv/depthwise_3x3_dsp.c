// 3x3 taps on the DSP extension: SMLAD multiplies two taps of a row.
//
// A word of a strip holds two columns of a row. An output takes three words of
// two columns and one half of the next three; two outputs at stride 1 share six
// words. Weights and biases are doubled, so that SMMULR alone makes the
// doubling high product.
#include <stddef.h>
#include <string.h>

#include "common/isa.h"
#include "depthwise_conv/depthwise.h"
#include "sparsesep/compiler.h"

#if SPARSESEP_HAS_DSP_LAYOUTS

_Static_assert(offsetof(SparsesepLines, output_step) == 12 &&
                   offsetof(SparsesepLines, units) == 20 &&
                   offsetof(SparsesepLines, strip_step) == 24 &&
                   offsetof(SparsesepLines, zero_point) == 28 &&
                   SPARSESEP_TABLE_PARAMETERS == 3,
               "assembly reads them");

typedef uint32_t __attribute__((may_alias)) Word;

static inline uint32_t widen_even(uint32_t bytes) {
  uint32_t result;
  __asm__("sxtb16 %0, %1" : "=r"(result) : "r"(bytes));
  return result;
}

static inline uint32_t widen_odd(uint32_t bytes) {
  uint32_t result;
  __asm__("sxtb16 %0, %1, ror #8" : "=r"(result) : "r"(bytes));
  return result;
}

static inline uint32_t join_low(uint32_t a, uint32_t b) {
  uint32_t result;
  __asm__("pkhbt %0, %1, %2, lsl #16" : "=r"(result) : "r"(a), "r"(b));
  return result;
}

static inline uint32_t join_high(uint32_t a, uint32_t b) {
  uint32_t result;
  __asm__("pkhtb %0, %2, %1, asr #16" : "=r"(result) : "r"(a), "r"(b));
  return result;
}

#define ROWS 3

// Two pixels of four channels, whose strips are `words` apart.
static inline void put_pair(Word* to, uint32_t words, uint32_t left,
                            uint32_t right) {
  const uint32_t left_even = widen_even(left);
  const uint32_t right_even = widen_even(right);
  const uint32_t left_odd = widen_odd(left);
  const uint32_t right_odd = widen_odd(right);
  to[0] = join_low(left_even, right_even);
  to[words] = join_low(left_odd, right_odd);
  to[2 * words] = join_high(left_even, right_even);
  to[3 * words] = join_high(left_odd, right_odd);
}

// At least one pair of pixels: 17 instructions a pair.
static void put_pairs(Word* to, uint32_t words, uint32_t pairs,
                      const int8_t* pixel, int32_t step) {
  Word* to1 = to + words;
  Word* to2 = to1 + words;
  Word* to3 = to2 + words;
  uint32_t a, b, c, d, e;
  __asm__ volatile(
      "1:\n"
      "  ldr %[a], [%[pixel]]\n"
      "  ldr %[b], [%[pixel], %[step]]\n"
      "  add %[pixel], %[pixel], %[step], lsl #1\n"
      "  sxtb16 %[c], %[a]\n"
      "  sxtb16 %[d], %[b]\n"
      "  sxtb16 %[a], %[a], ror #8\n"
      "  sxtb16 %[b], %[b], ror #8\n"
      "  pkhbt %[e], %[c], %[d], lsl #16\n"
      "  pkhtb %[d], %[d], %[c], asr #16\n"
      "  str %[e], [%[to]], #12\n"
      "  str %[d], [%[to2]], #12\n"
      "  pkhbt %[e], %[a], %[b], lsl #16\n"
      "  pkhtb %[b], %[b], %[a], asr #16\n"
      "  str %[e], [%[to1]], #12\n"
      "  str %[b], [%[to3]], #12\n"
      "  subs %[pairs], %[pairs], #1\n"
      "  bne 1b\n"
      : [to] "+r"(to), [to1] "+r"(to1), [to2] "+r"(to2), [to3] "+r"(to3),
        [pixel] "+r"(pixel), [pairs] "+r"(pairs), [a] "=&r"(a), [b] "=&r"(b),
        [c] "=&r"(c), [d] "=&r"(d), [e] "=&r"(e)
      : [step] "r"(step)
      : "cc", "memory");
}

#define PUT_PADDING                 \
  "  str %[value], [%[to]], #12\n"  \
  "  str %[value], [%[to1]], #12\n" \
  "  str %[value], [%[to2]], #12\n" \
  "  str %[value], [%[to3]], #12\n"

// At least two pairs of columns of padding.
static void put_padding(Word* to, uint32_t words, uint32_t pairs,
                        uint32_t padding) {
  Word* to1 = to + words;
  Word* to2 = to1 + words;
  Word* to3 = to2 + words;
  __asm__ volatile(
      "  lsrs %[pairs], %[pairs], #1\n"
      "  bcc 1f\n" PUT_PADDING "1:\n" PUT_PADDING PUT_PADDING
      "  subs %[pairs], %[pairs], #1\n"
      "  bne 1b\n"
      : [to] "+r"(to), [to1] "+r"(to1), [to2] "+r"(to2), [to3] "+r"(to3),
        [pairs] "+r"(pairs)
      : [value] "r"(widen_even(padding))
      : "cc", "memory");
}

static inline uint32_t four(const int8_t* pixel) {
  uint32_t word;
  memcpy(&word, pixel, sizeof(word));  // of any alignment
  return word;
}

static void put_four_channels(const SparsesepStrips* strips,
                              const SparsesepRow* row) {
  const uint32_t words = strips->bytes / sizeof(Word);
  const uint32_t padding = (uint8_t)strips->zero_point * 0x01010101u;
  const int32_t step = row->step;
  const int8_t* pixel = row->pixels;
  uint32_t inside = row->inside;
  Word* to = (Word*)(void*)strips->first + row->slot;
  if (inside == 0) {
    put_padding(to, words, (row->left + row->right + 1) / 2, padding);
    return;
  }
  if (row->left != 0) {
    put_pair(to, words, padding, four(pixel));
    to += ROWS;
    pixel += step;
    --inside;
  }
  const uint32_t pairs = inside / 2;
  if (pairs > 0) put_pairs(to, words, pairs, pixel, step);
  to += pairs * ROWS;
  if (inside % 2 != 0) {
    put_pair(to, words, four(pixel + 2 * (int32_t)pairs * step), padding);
  } else if (row->right != 0) {
    put_pair(to, words, padding, padding);
  }
}

void sparsesep_put_pairs_dsp(const SparsesepStrips* strips,
                             const SparsesepRow* row) {
  if (strips->channels == 4) {
    put_four_channels(strips, row);
    return;
  }
  int16_t* strip = (int16_t*)(void*)strips->first + 2 * row->slot;
  for (uint32_t c = 0; c < strips->channels; ++c) {
    const uint32_t end = row->left + row->inside;
    for (uint32_t x = 0; x < end + row->right; ++x) {
      const int is_inside = x >= row->left && x < end;
      strip[x / 2 * (2 * ROWS) + x % 2] =
          (int16_t)(is_inside
                        ? row->pixels[(int32_t)(x - row->left) * row->step +
                                      (int32_t)c]
                        : strips->zero_point);
    }
    strip += strips->bytes / sizeof(*strip);
  }
}

void sparsesep_pack_pairs_dsp(const SparsesepUnit* unit, void* table) {
  uint32_t* to = table;
  const int8_t* from = unit->taps;
  const uint32_t second = unit->along_step;
  for (uint32_t y = 3; y > 0; --y, from += unit->across_step, ++to) {
    const uint32_t middle = (uint32_t)(2 * from[second]);
    to[0] = join_low((uint32_t)(2 * from[0]), middle);
    to[3] = join_low(middle, (uint32_t)(2 * from[2 * second]));
  }
  to[3] = (uint32_t)unit->multiplier;
  to[4] = (uint32_t)-unit->shift;
  to[5] = 2 * (uint32_t)unit->bias;
}

// Registers of both loops: r0 the strip; r1 to r3 the weights of columns 0 and
// 1, r4 to r6 those of 1 and 2, by rows; r7 to r9 three rows of two columns;
// r10, r11 sums; r12, lr the output and its step. On the stack:
//    0  multiplier, shift, zero point, doubled bias of the unit
//   16  the end of the strip's pairs of outputs
//   20  lines; 24 its strip, table, output; 36 units left
#define MACROS                                   \
  ".macro first_columns sum\n"                   \
  "  ldr \\sum, [sp, #12]\n"                     \
  "  smlad \\sum, r1, r7, \\sum\n"               \
  "  smlad \\sum, r2, r8, \\sum\n"               \
  "  smlad \\sum, r3, r9, \\sum\n"               \
  ".endm\n"                                      \
  ".macro third_column sum\n"                    \
  "  smlabt \\sum, r7, r4, \\sum\n"              \
  "  smlabt \\sum, r8, r5, \\sum\n"              \
  "  smlabt \\sum, r9, r6, \\sum\n"              \
  ".endm\n"                                      \
  ".macro parameters\n"                          \
  "  ldm sp, {r7, r8, r9}\n"                     \
  ".endm\n"                                      \
  ".macro finish sum\n"                          \
  "  smmulr \\sum, \\sum, r7\n"                  \
  "  add \\sum, \\sum, \\sum, asr #31\n"         \
  "  asrs \\sum, \\sum, r8\n"                    \
  "  adc \\sum, \\sum, r9\n"                     \
  "  ssat \\sum, #8, \\sum\n"                    \
  ".endm\n"                                      \
  ".macro enter pair\n"                          \
  "  push {r4-r11, lr}\n"                        \
  "  ldm r0, {r1-r6}\n"                          \
  "  sub sp, sp, #40\n"                          \
  "  ldr r7, [r0, #28]\n"                        \
  "  str r7, [sp, #8]\n"                         \
  "  add r8, sp, #20\n"                          \
  "  stm r8, {r0-r3}\n"                          \
  "  str r6, [sp, #36]\n"                        \
  "4:\n"                                         \
  "  ldr r8, [sp, #20]\n"                        \
  "  ldrd r0, r10, [sp, #24]\n"                  \
  "  ldr r7, [r8, #16]\n"                        \
  "  ldrd r12, lr, [r8, #8]\n"                   \
  "  ldm r10!, {r1-r6}\n"                        \
  "  ldr r12, [sp, #32]\n"                       \
  "  ldm r10!, {r8, r9, r11}\n"                  \
  "  str r10, [sp, #28]\n"                       \
  "  strd r8, r9, [sp]\n"                        \
  "  str r11, [sp, #12]\n"                       \
  "  lsrs r7, r7, #1\n"                          \
  "  beq 2f\n"                                   \
  "  mov r8, \\pair\n"                           \
  "  mla r8, r7, r8, r0\n"                       \
  "  str r8, [sp, #16]\n"                        \
  "  lsrs r7, r7, #1\n"                          \
  "  bcs 5f\n"                                   \
  ".endm\n"                                      \
  ".macro finish_pair\n"                         \
  "  parameters\n"                               \
  "  finish r10\n"                               \
  "  finish r11\n"                               \
  "  strb r10, [r12]\n"                          \
  "  strb r11, [r12, lr]\n"                      \
  "  add r12, r12, lr, lsl #1\n"                 \
  ".endm\n"                                      \
  ".macro loop\n"                                \
  "  ldr r7, [sp, #16]\n"                        \
  "  cmp r0, r7\n"                               \
  "  bne 1b\n"                                   \
  ".endm\n" /* the output after the last pair */ \
  ".macro leave\n"                               \
  "  ldr r10, [sp, #20]\n"                       \
  "  ldr r10, [r10, #16]\n"                      \
  "  lsls r10, r10, #31\n"                       \
  "  beq 3f\n"                                   \
  "  ldm r0!, {r7, r8, r9}\n"                    \
  "  first_columns r10\n"                        \
  "  ldm r0, {r7, r8, r9}\n"                     \
  "  third_column r10\n"                         \
  "  parameters\n"                               \
  "  finish r10\n"                               \
  "  strb r10, [r12]\n"                          \
  "3:\n"                                         \
  "  add r7, sp, #20\n"                          \
  "  ldm r7, {r8-r12}\n"                         \
  "  ldr r8, [r8, #24]\n"                        \
  "  add r9, r9, r8\n"                           \
  "  adds r11, r11, #1\n"                        \
  "  str r9, [sp, #24]\n"                        \
  "  subs r12, r12, #1\n"                        \
  "  strd r11, r12, [sp, #32]\n"                 \
  "  bne 4b\n"                                   \
  "  add sp, sp, #40\n"                          \
  "  pop {r4-r11, pc}\n"                         \
  ".endm\n"

#define FORGET                                                             \
  ".purgem first_columns\n .purgem third_column\n .purgem parameters\n"    \
  ".purgem finish\n .purgem enter\n .purgem finish_pair\n .purgem loop\n " \
  ".purgem two_outputs\n .purgem leave\n"

// 31.5 instructions for two outputs.
SPARSESEP_NAKED static void run_stride_1(const SparsesepLines* lines
                                         __attribute__((unused))) {
  __asm__ volatile(MACROS
                   ".macro two_outputs\n"
                   "  ldm r0!, {r7, r8, r9}\n"
                   "  first_columns r10\n"
                   "  ldr r11, [sp, #12]\n"
                   "  smlatb r11, r7, r1, r11\n"
                   "  smlatb r11, r8, r2, r11\n"
                   "  smlatb r11, r9, r3, r11\n"
                   "  ldm r0, {r7, r8, r9}\n"
                   "  third_column r10\n"
                   "  smlad r11, r4, r7, r11\n"
                   "  smlad r11, r5, r8, r11\n"
                   "  smlad r11, r6, r9, r11\n"
                   "  finish_pair\n"
                   ".endm\n"
                   "  enter #12\n"
                   "1:\n"
                   "  two_outputs\n"
                   "5:\n"
                   "  two_outputs\n"
                   "  loop\n"
                   "2:\n"
                   "  leave\n" FORGET);
}

// 32.5 instructions for two outputs.
SPARSESEP_NAKED static void run_stride_2(const SparsesepLines* lines
                                         __attribute__((unused))) {
  __asm__ volatile(MACROS
                   ".macro two_outputs\n"
                   "  ldm r0!, {r7, r8, r9}\n"
                   "  first_columns r10\n"
                   "  ldm r0!, {r7, r8, r9}\n"
                   "  third_column r10\n"
                   "  first_columns r11\n"
                   "  ldm r0, {r7, r8, r9}\n"
                   "  third_column r11\n"
                   "  finish_pair\n"
                   ".endm\n"
                   "  enter #24\n"
                   "1:\n"
                   "  two_outputs\n"
                   "5:\n"
                   "  two_outputs\n"
                   "  loop\n"
                   "2:\n"
                   "  leave\n" FORGET);
}

void sparsesep_depthwise_3x3_dsp(const SparsesepLines* lines) {
  if (lines->stride == 1) {
    run_stride_1(lines);
  } else {
    run_stride_2(lines);
  }
  sparsesep_clamp_lines_dsp(lines);
}

#endif
