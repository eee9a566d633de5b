// 3x3 taps on Armv7-M: all weights of a unit stay in registers, and a column of
// the image enters the sums of all outputs that it belongs to. Sums go to the
// word after their last column; a second loop requantizes them.
//
// Weights and biases are doubled, as their doubling high product asks for.
#include "common/isa.h"
#include "depthwise_conv/depthwise.h"
#include "sparsesep/compiler.h"

#if SPARSESEP_HAS_V7M && !SPARSESEP_HAS_DSP

#define COLUMN_WORDS 4
#define COLUMN_BYTES 16
#define TABLE_WORDS (9 + SPARSESEP_TABLE_PARAMETERS)

typedef uint32_t __attribute__((may_alias)) Word;

#define PUT_PIXEL                       \
  "  ldr %[four], [%[pixel]]\n"         \
  "  add %[pixel], %[pixel], %[step]\n" \
  "  sxtb %[value], %[four]\n"          \
  "  str %[value], [%[to]], #16\n"      \
  "  sxtb %[value], %[four], ror #8\n"  \
  "  str %[value], [%[to1]], #16\n"     \
  "  sxtb %[value], %[four], ror #16\n" \
  "  str %[value], [%[to2]], #16\n"     \
  "  asrs %[four], %[four], #24\n"      \
  "  str %[four], [%[to3]], #16\n"

// Pixels of four channels, at least one: 11 instructions each.
static void put_pixels(int32_t* to, uint32_t words, uint32_t count,
                       const int8_t* pixel, int32_t step) {
  int32_t* to1 = to + words;
  int32_t* to2 = to1 + words;
  int32_t* to3 = to2 + words;
  uint32_t four, value;
  __asm__ volatile(
      "  lsrs %[count], %[count], #1\n"
      "  bcc 1f\n" PUT_PIXEL
      "1:\n"
      "  cbz %[count], 3f\n"
      "2:\n" PUT_PIXEL PUT_PIXEL
      "  subs %[count], %[count], #1\n"
      "  bne 2b\n"
      "3:\n"
      : [to] "+r"(to), [to1] "+r"(to1), [to2] "+r"(to2), [to3] "+r"(to3),
        [pixel] "+r"(pixel), [count] "+l"(count), [four] "=&r"(four),
        [value] "=&r"(value)
      : [step] "r"(step)
      : "cc", "memory");
}

// The same of two rows, the second `below` the first: 17 instructions.
static void put_pixels_of_two_rows(int32_t* to, uint32_t words, uint32_t count,
                                   const int8_t* pixel, int32_t step,
                                   int32_t below) {
  int32_t* to1 = to + words;
  int32_t* to2 = to1 + words;
  int32_t* to3 = to2 + words;
  uint32_t a, b, c, d;
  __asm__ volatile(
      "1:\n"
      "  ldr %[a], [%[pixel]]\n"
      "  ldr %[b], [%[pixel], %[below]]\n"
      "  add %[pixel], %[pixel], %[step]\n"
      "  sxtb %[c], %[a]\n"
      "  sxtb %[d], %[b]\n"
      "  strd %[c], %[d], [%[to]], #16\n"
      "  sxtb %[c], %[a], ror #8\n"
      "  sxtb %[d], %[b], ror #8\n"
      "  strd %[c], %[d], [%[to1]], #16\n"
      "  sxtb %[c], %[a], ror #16\n"
      "  sxtb %[d], %[b], ror #16\n"
      "  strd %[c], %[d], [%[to2]], #16\n"
      "  asrs %[a], %[a], #24\n"
      "  asrs %[b], %[b], #24\n"
      "  strd %[a], %[b], [%[to3]], #16\n"
      "  subs %[count], %[count], #1\n"
      "  bne 1b\n"
      : [to] "+r"(to), [to1] "+r"(to1), [to2] "+r"(to2), [to3] "+r"(to3),
        [pixel] "+r"(pixel), [count] "+r"(count), [a] "=&r"(a), [b] "=&r"(b),
        [c] "=&r"(c), [d] "=&r"(d)
      : [step] "r"(step), [below] "r"(below)
      : "cc", "memory");
}

// A column of padding in four channels.
static inline void pad_column(int32_t* to, uint32_t words, int32_t zero_point) {
  to[0] = zero_point;
  to[words] = zero_point;
  to[2 * words] = zero_point;
  to[3 * words] = zero_point;
}

#define PUT_PADDING                 \
  "  str %[value], [%[to]], #16\n"  \
  "  str %[value], [%[to1]], #16\n" \
  "  str %[value], [%[to2]], #16\n" \
  "  str %[value], [%[to3]], #16\n"

// Columns of padding, at least three.
static void put_padding(int32_t* to, uint32_t words, uint32_t count,
                        int32_t zero_point) {
  int32_t* to1 = to + words;
  int32_t* to2 = to1 + words;
  int32_t* to3 = to2 + words;
  __asm__ volatile(
      "  lsrs %[count], %[count], #1\n"
      "  bcc 1f\n" PUT_PADDING "1:\n" PUT_PADDING PUT_PADDING
      "  subs %[count], %[count], #1\n"
      "  bne 1b\n"
      : [to] "+r"(to), [to1] "+r"(to1), [to2] "+r"(to2), [to3] "+r"(to3),
        [count] "+r"(count)
      : [value] "r"(zero_point)
      : "cc", "memory");
}

static void put_four_channels(const SparsesepStrips* strips,
                              const SparsesepRow* row) {
  int32_t* to = (int32_t*)(void*)strips->first + row->slot;
  const uint32_t words = strips->bytes / sizeof(*to);
  const int32_t zero_point = strips->zero_point;
  const uint32_t inside = row->inside;
  if (inside == 0) {
    put_padding(to, words, row->left + row->right, zero_point);
    return;
  }
  if (row->left > 0) {
    pad_column(to, words, zero_point);
    if (row->below != 0) pad_column(to + 1, words, zero_point);
    to += COLUMN_WORDS;
  }
  if (row->right > 0) {
    int32_t* const end = to + inside * COLUMN_WORDS;
    pad_column(end, words, zero_point);
    if (row->below != 0) pad_column(end + 1, words, zero_point);
  }
  if (row->below != 0) {
    put_pixels_of_two_rows(to, words, inside, row->pixels, row->step,
                           row->below);
  } else {
    put_pixels(to, words, inside, row->pixels, row->step);
  }
}

void sparsesep_put_spaced_v7m(const SparsesepStrips* strips,
                              const SparsesepRow* row) {
  if (strips->channels == 4) {
    put_four_channels(strips, row);
    return;
  }
  const uint32_t end = row->left + row->inside;
  int32_t* strip = (int32_t*)(void*)strips->first + row->slot;
  for (uint32_t c = 0; c < strips->channels; ++c) {
    const int8_t* pixel = row->pixels + c;
    for (uint32_t x = 0; x < end + row->right; ++x) {
      const int is_inside = x >= row->left && x < end;
      strip[x * COLUMN_WORDS] = is_inside ? *pixel : strips->zero_point;
      if (is_inside) pixel += row->step;
    }
    strip += strips->bytes / sizeof(*strip);
  }
}

void sparsesep_pack_spaced_v7m(const SparsesepUnit* unit, void* table) {
  sparsesep_pack_nine(unit, 2, table);
}

// The first loop, for all units: r0 the strip, r1 to r9 the weights, r10 (and
// r12 at stride 2) inputs, the others sums. `bytes` are those of the columns of
// a line, in whole rounds; `skipped` are rounds of the first pass that there
// are not. On the stack: the end of the strip's columns, strip, table, units
// left; `bytes`, strip_step, table_step, `skipped`.
#define ENTER                              \
  "  push {r4-r11, lr}\n"                  \
  "  sub sp, sp, #32\n"                    \
  "  str r2, [sp, #28]\n"                  \
  "  ldrd r2, r3, [r0]\n"                  \
  "  strd r2, r3, [sp, #4]\n"              \
  "  ldrd r2, r3, [r0, #20]\n"             \
  "  str r2, [sp, #12]\n"                  \
  "  ldr r2, [r0, #40]\n"                  \
  "  str r1, [sp, #16]\n"                  \
  "  strd r3, r2, [sp, #20]\n"             \
  "2:\n"                                   \
  "  ldrd r0, r10, [sp, #4]\n"             \
  "  ldr r2, [sp, #16]\n"                  \
  "  add r2, r2, r0\n"                     \
  "  str r2, [sp]\n"                       \
  "  ldm r10, {r1-r9}\n"                   \
  ".macro column newest, middle, oldest\n" \
  "  ldr r10, [r0], #4\n"                  \
  "  mul \\newest, r1, r10\n"              \
  "  mla \\middle, r4, r10, \\middle\n"    \
  "  mla \\oldest, r7, r10, \\oldest\n"    \
  "  ldr r10, [r0], #4\n"                  \
  "  mla \\newest, r2, r10, \\newest\n"    \
  "  mla \\middle, r5, r10, \\middle\n"    \
  "  mla \\oldest, r8, r10, \\oldest\n"    \
  "  ldr r10, [r0], #8\n"                  \
  "  mla \\newest, r3, r10, \\newest\n"    \
  "  mla \\middle, r6, r10, \\middle\n"    \
  "  mla \\oldest, r9, r10, \\oldest\n"    \
  "  str \\oldest, [r0, #-4]\n"            \
  ".endm\n"                                \
  ".macro even_column newest, oldest\n"    \
  "  ldm r0!, {r10, r12}\n"                \
  "  mul \\newest, r1, r10\n"              \
  "  mla \\oldest, r7, r10, \\oldest\n"    \
  "  ldr r10, [r0], #8\n"                  \
  "  mla \\newest, r2, r12, \\newest\n"    \
  "  mla \\oldest, r8, r12, \\oldest\n"    \
  "  mla \\newest, r3, r10, \\newest\n"    \
  "  mla \\oldest, r9, r10, \\oldest\n"    \
  "  str \\oldest, [r0, #-4]\n"            \
  "  ldm r0!, {r10, r12}\n"                \
  "  mla \\newest, r4, r10, \\newest\n"    \
  "  ldr r10, [r0], #8\n"                  \
  "  mla \\newest, r5, r12, \\newest\n"    \
  "  mla \\newest, r6, r10, \\newest\n"    \
  ".endm\n"

#define LEAVE                  \
  "  ldr r10, [sp]\n"          \
  "  cmp r0, r10\n"            \
  "  bne 1b\n"                 \
  "  ldrd r0, r1, [sp, #4]\n"  \
  "  ldrd r2, r3, [sp, #20]\n" \
  "  add r0, r0, r2\n"         \
  "  add r1, r1, r3\n"         \
  "  strd r0, r1, [sp, #4]\n"  \
  "  ldr r2, [sp, #12]\n"      \
  "  subs r2, r2, #1\n"        \
  "  str r2, [sp, #12]\n"      \
  "  bne 2b\n"                 \
  "  add sp, sp, #32\n"        \
  "  pop {r4-r11, pc}\n"       \
  ".purgem column\n .purgem even_column\n"

#define THREE_COLUMNS       \
  "  column r11, r12, lr\n" \
  "  column lr, r11, r12\n" \
  "  column r12, lr, r11\n"

// 13.25 instructions an output; four rounds a pass.
SPARSESEP_NAKED static void multiply_stride_1(const SparsesepLines* lines
                                              __attribute__((unused)),
                                              uint32_t bytes
                                              __attribute__((unused)),
                                              uint32_t skipped
                                              __attribute__((unused))) {
  __asm__ volatile(ENTER
                   "  ldr r10, [sp, #28]\n"
                   "  tbb [pc, r10]\n"
                   "3:\n"
                   "  .byte (1f - 3b) / 2, (4f - 3b) / 2\n"
                   "  .byte (5f - 3b) / 2, (6f - 3b) / 2\n"
                   "1:\n" THREE_COLUMNS "4:\n" THREE_COLUMNS
                   "5:\n" THREE_COLUMNS "6:\n" THREE_COLUMNS LEAVE);
}

// 16 instructions an output.
SPARSESEP_NAKED static void multiply_stride_2(const SparsesepLines* lines
                                              __attribute__((unused)),
                                              uint32_t bytes
                                              __attribute__((unused)),
                                              uint32_t skipped
                                              __attribute__((unused))) {
  __asm__ volatile(ENTER
                   "1:\n"
                   "  even_column r11, lr\n"
                   "  even_column lr, r11\n" LEAVE);
}

// 8 instructions. The high product less 1 where it is negative makes halves go
// away from zero; where rounding makes it 0, the last bit that is shifted out
// is 1 and makes up for that 1.
#define FINISH(at)                              \
  "  ldr %[a], [%[acc], " at                    \
  "]!\n"                                        \
  "  add %[a], %[bias], %[a]\n"                 \
  "  smull %[low], %[a], %[a], %[multiplier]\n" \
  "  lsls %[low], %[low], #1\n"                 \
  "  adc %[a], %[a], %[a], asr #31\n"           \
  "  asrs %[a], %[a], %[shift]\n"               \
  "  adc %[a], %[a], %[zero]\n"

// To all of int8, or to limits from which %[zero] counts: below 0 is 0, above
// %[range] is that.
#define SATURATE(far) "  ssat %[a], #8, %[a]\n"
#define CLAMP(far)         \
  "  cmp %[a], %[range]\n" \
  "  bhi " far "f\n" far   \
  "0:\n"                   \
  "  add %[a], %[a], %[least]\n"
#define CLAMP_FAR(far)                        \
  far ":\n"                                   \
      "  bic %[a], %[range], %[a], asr #31\n" \
      "  b " far "0b\n"

#define FAR_LIMITS \
  CLAMP_FAR("3") CLAMP_FAR("4") CLAMP_FAR("5") CLAMP_FAR("6") CLAMP_FAR("7")

#define FINISH_TO(at, limit, far, place) \
  FINISH(at) limit(far) "  strb %[a], [%[output]" place "]\n"

// Four outputs at a time, and those after them.
#define FINISH_LINE(at, limit, far_limits, ...) \
  __asm__ volatile(                                                    \
      "  subs %[count], %[count], #4\n"                                \
      "  blo 2f\n"                                                     \
      "1:\n" FINISH_TO(at, limit, "3", "")                             \
      FINISH_TO(at, limit, "4", ", %[step]")                           \
      FINISH_TO(at, limit, "5", ", %[step], lsl #1")                   \
      FINISH_TO(at, limit, "6", ", %[step_3]")                         \
      "  add %[output], %[output], %[step], lsl #2\n"                  \
      "  subs %[count], %[count], #4\n"                                \
      "  bhs 1b\n"                                                     \
      "2:\n"                                                           \
      "  adds %[count], %[count], #4\n"                                \
      "  beq 8f\n"                                                     \
      "9:\n" FINISH_TO(at, limit, "7", "")                             \
      "  add %[output], %[output], %[step]\n"                          \
      "  subs %[count], %[count], #1\n"                                \
      "  bne 9b\n"                                                     \
      "  b 8f\n" far_limits                                            \
      "8:\n"                                                           \
      : [acc] "+r"(acc), [output] "+r"(output), [count] "+r"(count),   \
        [a] "=&r"(a), [low] "=&r"(low)                                 \
      : [bias] "r"(numbers[0]), [multiplier] "r"(numbers[1]),          \
        [shift] "r"(numbers[2]), [zero] "r"(zero), [step] "r"(step),   \
        [step_3] "r"(3 * step), ##__VA_ARGS__                          \
      : "cc", "memory")

#define LIMITS [range] "r"(range), [least] "r"(least)

// Requantizes the sums of all units, `at` bytes apart.
#define FINISH_UNITS(at, limit, far_limits, ...)               \
  for (uint32_t n = lines->units; n > 0; --n, ++unit_output) { \
    int8_t* output = unit_output;                              \
    const uint8_t* acc = sums;                                 \
    uint32_t count = lines->outputs;                           \
    FINISH_LINE(at, limit, far_limits, ##__VA_ARGS__);         \
    sums += lines->strip_step;                                 \
    numbers += TABLE_WORDS;                                    \
  }

static void finish(const SparsesepLines* lines) {
  const int32_t least = lines->rows->activation_min;
  const int32_t range = lines->rows->activation_max - least;
  const int32_t* numbers = (const int32_t*)(const void*)lines->table + 9;
  const uint8_t* sums = lines->strip + (lines->stride == 1 ? 28 : 12);
  int8_t* unit_output = lines->output;
  const int32_t step = lines->output_step;
  int32_t zero = lines->zero_point;
  int32_t a, low;
  if (range == UINT8_MAX && lines->stride == 1) {
    FINISH_UNITS("#16", SATURATE, )
  } else if (range == UINT8_MAX) {
    FINISH_UNITS("#32", SATURATE, )
  } else {
    zero -= least;
    if (lines->stride == 1) {
      FINISH_UNITS("#16", CLAMP, FAR_LIMITS, LIMITS)
    } else {
      FINISH_UNITS("#32", CLAMP, FAR_LIMITS, LIMITS)
    }
  }
}

static void run(const SparsesepLines* lines) {
  if (lines->stride == 1) {
    const uint32_t rounds = (lines->outputs + 4) / 3;
    multiply_stride_1(lines, rounds * (3 * COLUMN_BYTES), -rounds % 4);
  } else {
    const uint32_t rounds = (lines->outputs + 2) / 2;
    multiply_stride_2(lines, rounds * (4 * COLUMN_BYTES), 0);
  }
  finish(lines);
}

void sparsesep_depthwise_3x3_v7m(const SparsesepLines* lines) {
  if (lines->strip_step != 0) {
    run(lines);
    return;
  }
  // Sums of units that share a strip would lie in one place.
  SparsesepLines one = *lines;
  one.units = 1;
  for (uint32_t n = lines->units; n > 0; --n, ++one.output) {
    run(&one);
    one.table += lines->table_step;
  }
}

#endif
