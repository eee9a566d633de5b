// 3x3 taps on Armv6-M: four outputs of a unit at once, so that a weight is
// loaded once for all, and an input that is loaded is its own copy to multiply.
// Accumulators of a line go to scratch; a second loop requantizes them.
#include "common/isa.h"
#include "depthwise_conv/depthwise.h"

#if SPARSESEP_HAS_V6M

#define ROWS 3
#define COLUMN_BYTES 12

// Where pixels of four channels go; at least one pixel.
static void put_pixels(int32_t* to, uint32_t strip_bytes, uint32_t count,
                       const int8_t* pixel, int32_t step) {
  uint32_t value;
  __asm__ volatile(
      ".syntax unified\n"
      "1:\n"
      "  movs  %[value], #0\n"
      "  ldrsb %[value], [%[pixel], %[value]]\n"
      "  str   %[value], [%[to]]\n"
      "  movs  %[value], #1\n"
      "  ldrsb %[value], [%[pixel], %[value]]\n"
      "  str   %[value], [%[to], %[second]]\n"
      "  movs  %[value], #2\n"
      "  ldrsb %[value], [%[pixel], %[value]]\n"
      "  str   %[value], [%[to], %[third]]\n"
      "  movs  %[value], #3\n"
      "  ldrsb %[value], [%[pixel], %[value]]\n"
      "  str   %[value], [%[to], %[fourth]]\n"
      "  add   %[pixel], %[step]\n"
      "  adds  %[to], #12\n"
      "  subs  %[count], #1\n"
      "  bne   1b\n"
      : [to] "+l"(to), [pixel] "+l"(pixel), [count] "+l"(count),
        [value] "=&l"(value)
      : [second] "l"(strip_bytes), [third] "l"(2 * strip_bytes),
        [fourth] "l"(3 * strip_bytes), [step] "h"(step)
      : "cc", "memory");
}

// Columns of padding in four channels.
static void put_padding(int32_t* to, uint32_t words, uint32_t count,
                        int32_t zero_point) {
  for (; count > 0; --count, to += ROWS) {
    to[0] = zero_point;
    to[words] = zero_point;
    to[2 * words] = zero_point;
    to[3 * words] = zero_point;
  }
}

static void put_four_channels(const SparsesepStrips* strips,
                              const SparsesepRow* row) {
  int32_t* to = (int32_t*)(void*)strips->first + row->slot;
  const uint32_t words = strips->bytes / sizeof(*to);
  const int32_t zero_point = strips->zero_point;
  if (row->inside == 0) {
    put_padding(to, words, row->left + row->right, zero_point);
    return;
  }
  if (row->left > 0) {
    put_padding(to, words, 1, zero_point);
    to += ROWS;
  }
  if (row->right > 0) {
    put_padding(to + row->inside * ROWS, words, 1, zero_point);
  }
  put_pixels(to, strips->bytes, row->inside, row->pixels, row->step);
}

void sparsesep_put_words_v6m(const SparsesepStrips* strips,
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
      strip[x * ROWS] = is_inside ? *pixel : strips->zero_point;
      if (is_inside) pixel += row->step;
    }
    strip += strips->bytes / sizeof(*strip);
  }
}

void sparsesep_pack_words_v6m(const SparsesepUnit* unit, void* table) {
  int32_t* to = table;
  for (uint32_t x = 0; x < 3; ++x) {
    const int8_t* from = unit->taps + x * unit->along_step;
    for (uint32_t y = 0; y < 3; ++y, from += unit->across_step) *to++ = *from;
  }
  to[0] = unit->bias;
  to[1] = unit->multiplier;
  to[2] = -unit->shift;
}

// What both loops read in assembly.
typedef struct Product {
  const void* strip;
  const void* weights;
  uint32_t* accumulators;
  const void* end;  // of the first windows of whole fours of outputs
} Product;

typedef struct Finish {
  const uint32_t* accumulators;
  int8_t* output;
  int32_t right_shift;
  int32_t zero_point;  // counts from activation_min
  int32_t bias;
  uint32_t low;  // halves of the multiplier
  uint32_t high;
  int32_t range;
  int32_t activation_min;
  int32_t output_step;
  const uint32_t* end;
} Finish;

#define ENTER                             \
  ".syntax unified\n"                     \
  "  push {r4-r7, lr}\n"                  \
  "  mov r4, r8\n"                        \
  "  mov r5, r9\n"                        \
  "  push {r4, r5}\n"                     \
  "  ldr r1, [r0, #8]\n"                  \
  "  mov r8, r1\n"                        \
  "  ldr r1, [r0, #12]\n"                 \
  "  mov r9, r1\n"                        \
  "  ldr r1, [r0, #4]\n"                  \
  "  ldr r0, [r0]\n"                      \
  ".macro product sum, at\n"              \
  "  ldr r7, [r0, #\\at]\n"               \
  "  muls r7, r6\n"                       \
  "  adds \\sum, \\sum, r7\n"             \
  ".endm\n"                               \
  ".macro first_product sum, at\n"        \
  "  ldr \\sum, [r0, #\\at]\n"            \
  "  muls \\sum, r6\n"                    \
  ".endm\n"                               \
  ".macro tap product, at, step\n"        \
  "  ldmia r1!, {r6}\n"                   \
  "  \\product r2, (\\at)\n"              \
  "  \\product r3, (\\at + \\step)\n"     \
  "  \\product r4, (\\at + 2 * \\step)\n" \
  "  \\product r5, (\\at + 3 * \\step)\n" \
  ".endm\n"                               \
  ".macro four_outputs step\n"            \
  "  tap first_product, 0, \\step\n"      \
  "  tap product, 4, \\step\n"            \
  "  tap product, 8, \\step\n"            \
  "  tap product, 12, \\step\n"           \
  "  tap product, 16, \\step\n"           \
  "  tap product, 20, \\step\n"           \
  "  tap product, 24, \\step\n"           \
  "  tap product, 28, \\step\n"           \
  "  tap product, 32, \\step\n"           \
  "  mov r7, r8\n"                        \
  "  stmia r7!, {r2-r5}\n"                \
  "  mov r8, r7\n"                        \
  "  subs r1, #36\n"                      \
  "  adds r0, #(4 * \\step)\n"            \
  "  cmp r0, r9\n"                        \
  ".endm\n"

#define LEAVE                                               \
  "  beq 2f\n"                                              \
  "  b 1b\n"                                                \
  "2:\n"                                                    \
  "  pop {r4, r5}\n"                                        \
  "  mov r8, r4\n"                                          \
  "  mov r9, r5\n"                                          \
  "  pop {r4-r7, pc}\n"                                     \
  ".purgem product\n .purgem first_product\n .purgem tap\n" \
  ".purgem four_outputs\n"

// 123 instructions for four outputs.
__attribute__((naked, noinline)) static void multiply_stride_1(
    const Product* product __attribute__((unused))) {
  __asm__ volatile(ENTER "1:\n  four_outputs 12\n" LEAVE);
}

__attribute__((naked, noinline)) static void multiply_stride_2(
    const Product* product __attribute__((unused))) {
  __asm__ volatile(ENTER "1:\n  four_outputs 24\n" LEAVE);
}

// 30 instructions an output, as in sparsesep_finish_rows().
__attribute__((naked, noinline)) static void finish(const Finish* constants
                                                    __attribute__((unused))) {
  __asm__ volatile(
      ".syntax unified\n"
      "  push {r4-r7, lr}\n"
      "  mov r4, r8\n"
      "  mov r5, r9\n"
      "  mov r6, r10\n"
      "  mov r7, r11\n"
      "  push {r4-r7}\n"
      "  ldr r1, [r0, #40]\n"
      "  push {r1}\n"
      "  ldr r1, [r0, #16]\n"
      "  mov r8, r1\n"
      "  ldr r1, [r0, #20]\n"
      "  mov r9, r1\n"
      "  ldr r1, [r0, #24]\n"
      "  mov r10, r1\n"
      "  ldr r1, [r0, #28]\n"
      "  mov r11, r1\n"
      "  ldr r1, [r0, #32]\n"
      "  mov r12, r1\n"
      "  ldr r1, [r0, #36]\n"
      "  mov lr, r1\n"
      "  ldr r7, [r0, #12]\n"
      "  ldr r2, [r0, #8]\n"
      "  ldr r1, [r0, #4]\n"
      "  ldr r0, [r0]\n"
      "1:\n"
      "  ldmia r0!, {r3}\n"
      "  add  r3, r8\n"
      "  sxth r4, r3\n"
      "  subs r3, r3, r4\n"
      "  asrs r3, r3, #16\n"
      "  mov  r5, r9\n"
      "  muls r5, r4\n"
      "  asrs r5, r5, #16\n"
      "  mov  r6, r9\n"
      "  muls r6, r3\n"
      "  adds r5, r5, r6\n"
      "  mov  r6, r10\n"
      "  muls r4, r6\n"
      "  adds r5, r5, r4\n"
      "  muls r6, r3\n"
      "  adds r6, r6, r6\n"
      "  asrs r5, r5, #15\n"
      "  adcs r5, r6\n"       // doubling high product
      "  asrs r6, r5, #31\n"  // -1 makes halves go away from zero
      "  adds r5, r5, r6\n"
      "  asrs r5, r2\n"
      "  adcs r5, r7\n"  // counts from activation_min
      "  cmp  r5, r11\n"
      "  bhi  3f\n"
      "2:\n"
      "  add  r5, r12\n"
      "  strb r5, [r1]\n"
      "  add  r1, lr\n"
      "  ldr  r3, [sp]\n"
      "  cmp  r0, r3\n"
      "  bne  1b\n"
      "  pop {r3-r7}\n"
      "  mov r8, r4\n"
      "  mov r9, r5\n"
      "  mov r10, r6\n"
      "  mov r11, r7\n"
      "  pop {r4-r7, pc}\n"
      "3:\n"  // below 0: 0, above range: range
      "  asrs r3, r5, #31\n"
      "  mov  r5, r11\n"
      "  bics r5, r3\n"
      "  b    2b\n");
}

void sparsesep_depthwise_3x3_v6m(const SparsesepLines* lines) {
  const SparsesepRows* rows = lines->rows;
  const uint32_t step = lines->stride * COLUMN_BYTES;
  const uint32_t fours = (lines->outputs + 3) / 4;
  Product product = {lines->strip, lines->table, lines->accumulators,
                     lines->strip + 4 * fours * step};
  Finish constants = {
      lines->accumulators,
      lines->output,
      0,
      lines->zero_point - rows->activation_min,
      0,
      0,
      0,
      rows->activation_max - rows->activation_min,
      rows->activation_min,
      lines->output_step,
      lines->accumulators + lines->outputs,
  };
  for (uint32_t n = lines->units; n > 0; --n) {
    const int32_t* numbers = (const int32_t*)product.weights + 9;
    const uint32_t multiplier = (uint32_t)numbers[1];
    if (lines->stride == 1) {
      multiply_stride_1(&product);
    } else {
      multiply_stride_2(&product);
    }
    constants.bias = numbers[0];
    constants.low = multiplier & 0xffff;
    constants.high = multiplier >> 16;
    constants.right_shift = numbers[2];
    finish(&constants);
    ++constants.output;
    product.strip = (const uint8_t*)product.strip + lines->strip_step;
    product.end = (const uint8_t*)product.end + lines->strip_step;
    product.weights = (const uint8_t*)product.weights + lines->table_step;
  }
}

#endif
