// 3x3 taps on Armv6-M: four outputs of a unit at once, so that a weight is
// loaded once for all, and an input that is loaded is its own copy to multiply.
// Accumulators of a line go to scratch; a second loop requantizes them.
#include "common/isa.h"
#include "depthwise_conv/depthwise.h"
#include "sparsesep/compiler.h"

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

// A register beside the eight low ones. With -Os, GCC has one high register to
// give, and a low one more.
#if defined(__OPTIMIZE_SIZE__) && !defined(__clang__)
#define SPARE "r"
#else
#define SPARE "h"
#endif

// The same where pixels are aligned words.
static void put_words(int32_t* to, uint32_t strip_bytes, uint32_t count,
                      const int8_t* pixel, int32_t step) {
  uint32_t four, value;
  __asm__ volatile(
      ".syntax unified\n"
      "1:\n"
      "  ldr   %[four], [%[pixel]]\n"
      "  sxtb  %[value], %[four]\n"
      "  str   %[value], [%[to]]\n"
      "  asrs  %[value], %[four], #24\n"
      "  str   %[value], [%[to], %[fourth]]\n"
      "  rev16 %[four], %[four]\n"
      "  sxtb  %[value], %[four]\n"
      "  str   %[value], [%[to], %[second]]\n"
      "  asrs  %[four], %[four], #24\n"
      "  str   %[four], [%[to], %[third]]\n"
      "  add   %[pixel], %[step]\n"
      "  adds  %[to], #12\n"
      "  cmp   %[to], %[end]\n"
      "  bne   1b\n"
      : [to] "+l"(to), [pixel] "+l"(pixel), [four] "=&l"(four),
        [value] "=&l"(value)
      : [second] "l"(strip_bytes), [third] "l"(2 * strip_bytes),
        [fourth] "l"(3 * strip_bytes), [step] "h"(step),
        [end] SPARE(to + count * ROWS)
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
  if ((((uintptr_t)row->pixels | (uint32_t)row->step) & 3) == 0) {
    put_words(to, strips->bytes, row->inside, row->pixels, row->step);
  } else {
    put_pixels(to, strips->bytes, row->inside, row->pixels, row->step);
  }
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
  sparsesep_pack_nine(unit, 1, table);
}

// What both loops read in assembly.
typedef struct Product {
  const void* strip;
  const void* weights;
  uint32_t* accumulators;
  const void* end;  // of the first windows of whole fours of outputs
} Product;

typedef struct Finish {
  int32_t bias;
  uint32_t low;  // halves of the multiplier
  uint32_t high;
  int32_t range;
  int32_t activation_min;
  int32_t output_step;
  const uint32_t* first_fours;
  const uint32_t* end;
  int8_t* output;
  int32_t right_shift;
  int32_t zero_point;  // counts from activation_min
  const uint32_t* accumulators;
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
SPARSESEP_NAKED static void multiply_stride_1(const Product* product
                                              __attribute__((unused))) {
  __asm__ volatile(ENTER "1:\n  four_outputs 12\n" LEAVE);
}

SPARSESEP_NAKED static void multiply_stride_2(const Product* product
                                              __attribute__((unused))) {
  __asm__ volatile(ENTER "1:\n  four_outputs 24\n" LEAVE);
}

// One output, from a sum, as in sparsesep_finish_rows().
#define FINISH(far, limited)                                     \
  "  ldmia r0!, {r3}\n"                                          \
  "  add  r3, r8\n"                                              \
  "  sxth r4, r3\n"                                              \
  "  subs r3, r3, r4\n"                                          \
  "  asrs r3, r3, #16\n"                                         \
  "  mov  r5, r9\n"                                              \
  "  muls r5, r4\n"                                              \
  "  asrs r5, r5, #16\n"                                         \
  "  mov  r6, r9\n"                                              \
  "  muls r6, r3\n"                                              \
  "  adds r5, r5, r6\n"                                          \
  "  mov  r6, r10\n"                                             \
  "  muls r4, r6\n"                                              \
  "  adds r5, r5, r4\n"                                          \
  "  muls r6, r3\n"                                              \
  "  adds r6, r6, r6\n"                                          \
  "  asrs r5, r5, #15\n"                                         \
  "  adcs r5, r6\n"      /* doubling high product */             \
  "  asrs r6, r5, #31\n" /* -1 makes halves go away from zero */ \
  "  adds r5, r5, r6\n"                                          \
  "  asrs r5, r2\n"                                              \
  "  adcs r5, r7\n" /* counts from activation_min */             \
  "  cmp  r5, r11\n"                                             \
  "  bhi  " far "\n" limited                                     \
  ":\n"                                                          \
  "  add  r5, r12\n"                                             \
  "  strb r5, [r1]\n"                                            \
  "  add  r1, lr\n"

// Below 0: 0, above range: range.
#define INTO_LIMITS(far, limited) \
  far ":\n"                       \
      "  asrs r3, r5, #31\n"      \
      "  mov  r5, r11\n"          \
      "  bics r5, r3\n"           \
      "  b    " limited "\n"

// Outputs up to a multiple of four one by one, then four at a time: 27
// instructions each, and 3 a round.
SPARSESEP_NAKED static void finish(const Finish* constants
                                   __attribute__((unused))) {
  __asm__ volatile(
      ".syntax unified\n"
      "  push {r4-r7, lr}\n"
      "  mov r4, r8\n"
      "  mov r5, r9\n"
      "  mov r6, r10\n"
      "  mov r7, r11\n"
      "  push {r4-r7}\n"
      "  ldmia r0!, {r3-r7}\n"
      "  mov r8, r3\n"
      "  mov r9, r4\n"
      "  mov r10, r5\n"
      "  mov r11, r6\n"
      "  mov r12, r7\n"
      "  ldmia r0!, {r3, r4, r5}\n"
      "  mov lr, r3\n"
      "  push {r4, r5}\n"
      "  ldmia r0!, {r1, r2, r7}\n"
      "  ldr r0, [r0]\n"
      "1:\n"
      "  ldr  r3, [sp]\n"
      "  cmp  r0, r3\n"
      "  beq  2f\n" FINISH("3f", "30")
      "  b    1b\n"
      INTO_LIMITS("3", "30b") INTO_LIMITS("4", "40f") INTO_LIMITS("5", "50f")
      "2:\n"
      "  ldr  r3, [sp, #4]\n"
      "  cmp  r0, r3\n"
      "  bne  9f\n"
      "  b    8f\n"
      "9:\n" FINISH("4b", "40") FINISH("5b", "50")
      FINISH("6f", "60") FINISH("7f", "70")
      "  ldr  r3, [sp, #4]\n"
      "  cmp  r0, r3\n"
      "  beq  8f\n"
      "  b    9b\n"
      INTO_LIMITS("6", "60b") INTO_LIMITS("7", "70b")
      "8:\n"
      "  add sp, #8\n"
      "  pop {r4-r7}\n"
      "  mov r8, r4\n"
      "  mov r9, r5\n"
      "  mov r10, r6\n"
      "  mov r11, r7\n"
      "  pop {r4-r7, pc}\n");
}

// Sums of one or two outputs, which are cheaper alone than as four.
static void multiply_rest(const int32_t* x, const int32_t* weights,
                          uint32_t* sum, uint32_t words, uint32_t count) {
  do {
    uint32_t acc = (uint32_t)(x[0] * weights[0]);
    acc += (uint32_t)(x[1] * weights[1]);
    acc += (uint32_t)(x[2] * weights[2]);
    acc += (uint32_t)(x[3] * weights[3]);
    acc += (uint32_t)(x[4] * weights[4]);
    acc += (uint32_t)(x[5] * weights[5]);
    acc += (uint32_t)(x[6] * weights[6]);
    acc += (uint32_t)(x[7] * weights[7]);
    *sum++ = acc + (uint32_t)(x[8] * weights[8]);
    x += words;
  } while (--count > 0);
}

void sparsesep_depthwise_3x3_v6m(const SparsesepLines* lines) {
  const SparsesepRows* rows = lines->rows;
  const uint32_t outputs = lines->outputs;
  const uint32_t step = lines->stride * COLUMN_BYTES;
  const uint32_t rest = outputs % 4 == 3 ? 0 : outputs % 4;
  const uint32_t fours = (outputs + 1) / 4;
  uint32_t* const sums = lines->accumulators;
  Product product = {lines->strip, lines->table, sums,
                     lines->strip + 4 * fours * step};
  Finish constants = {
      0,
      0,
      0,
      rows->activation_max - rows->activation_min,
      rows->activation_min,
      lines->output_step,
      sums + outputs % 4,
      sums + outputs,
      lines->output,
      0,
      lines->zero_point - rows->activation_min,
      sums,
  };
  for (uint32_t n = lines->units; n > 0; --n) {
    const int32_t* numbers = (const int32_t*)product.weights + 9;
    const uint32_t multiplier = (uint32_t)numbers[1];
    if (fours > 0) {
      if (lines->stride == 1) {
        multiply_stride_1(&product);
      } else {
        multiply_stride_2(&product);
      }
    }
    if (rest > 0) {
      multiply_rest(product.end, product.weights, sums + outputs - rest,
                    step / sizeof(int32_t), rest);
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
