// 4x4 blocks by eight vectors: Armv6-M.
//
// Four weights take 12 instructions a vector (11 if they are the first of their
// row) and 19 for all eight; an output 26, and its row 40 for all eight.
#include "common/isa.h"
#include "common/rows.h"
#include "sparse_fully_connected/v6m/eight_vectors_v6m.h"
#include "sparse_fully_connected/v6m/v6m.h"

#if SPARSESEP_HAS_V6M

#include <stddef.h>
#include "sparsesep/compiler.h"

// What a row group is computed from. Assembly reads this struct.
typedef struct Group {
  const uint8_t* index;  // steps of the group
  const uint8_t* index_end;
  const int8_t* value;  // of the next row, as the next three
  const int32_t* bias;
  const int32_t* multiplier;
  const int8_t* shift;
  int8_t* out;
  uint32_t rows_left;
  const int32_t* wide;
  int32_t zero_point;  // counts from activation_min
  int32_t range;
  int32_t activation_min;
  uint32_t stride;  // bytes from one vector's outputs to the next one's
} Group;

_Static_assert(offsetof(Group, wide) == 32 && offsetof(Group, stride) == 48,
               "assembly reads words");

// clang-format off

// Widens one vector, four columns a round.
static void widen(const int8_t* x, uint32_t cols, int32_t* wide) {
  const int8_t* const end = x + cols;
  __asm__ volatile(
      ".syntax unified\n"
      "1:\n"
      "  ldmia %[x]!, {r4}\n"
      "  sxtb  r1, r4\n"
      "  rev16 r3, r4\n"
      "  sxtb  r2, r3\n"
      "  asrs  r3, r3, #24\n"
      "  asrs  r4, r4, #24\n"
      "  stmia %[wide]!, {r1, r2, r3, r4}\n"
      "  adds  %[wide], %[wide], #112\n"
      "  cmp   %[x], %[end]\n"
      "  bne   1b\n"
      : [x] "+&l"(x), [wide] "+&l"(wide)
      : [end] "r"(end)
      : "r1", "r2", "r3", "r4", "cc", "memory");
}

// The next four weights of the row to r3-r6, and where their columns begin to
// r7. A word brings four weights: rev16 swaps neighbors, so that the inner ones
// are as close at hand as the outer ones.
#define WEIGHTS           \
  "  mov   r1, r8\n"      \
  "  ldrb  r0, [r1]\n"    \
  "  adds  r1, #1\n"      \
  "  mov   r8, r1\n"      \
  "  lsls  r0, r0, #7\n"  \
  "  add   r0, r12\n"     \
  "  mov   r12, r0\n"     \
  "  mov   r7, r0\n"      \
  "  mov   r1, r10\n"     \
  "  ldr   r6, [r1]\n"    \
  "  adds  r1, #16\n"     \
  "  mov   r10, r1\n"     \
  "  sxtb  r3, r6\n"      \
  "  rev16 r5, r6\n"      \
  "  sxtb  r4, r5\n"      \
  "  asrs  r5, r5, #24\n" \
  "  asrs  r6, r6, #24\n"

// Four products with the next vector, added up in r0.
#define PRODUCTS                \
  "  ldmia r7!, {r0, r1, r2}\n" \
  "  muls  r0, r3, r0\n"        \
  "  muls  r1, r4, r1\n"        \
  "  muls  r2, r5, r2\n"        \
  "  adds  r0, r0, r1\n"        \
  "  adds  r0, r0, r2\n"        \
  "  ldmia r7!, {r1}\n"         \
  "  muls  r1, r6, r1\n"        \
  "  adds  r0, r0, r1\n"

#define FIRST(AT)            \
  PRODUCTS                   \
  "  add   r0, r11\n"        \
  "  str   r0, [sp, #" AT "]\n"

#define NEXT(AT)                 \
  PRODUCTS                       \
  "  ldr   r1, [sp, #" AT "]\n"  \
  "  adds  r0, r0, r1\n"         \
  "  str   r0, [sp, #" AT "]\n"

#define EMPTY(AT) "  str   r2, [sp, #" AT "]\n"

#define ALL(VECTOR)                                         \
  VECTOR("0") VECTOR("4") VECTOR("8") VECTOR("12")          \
  VECTOR("16") VECTOR("20") VECTOR("24") VECTOR("28")

// An output from the sum at r6, to r7. finish_rows_v6m.c explains how; r4 is
// the low half of the multiplier, r5 the high one, r3 the shift.
#define FINISH(LIMIT, LIMITED)                              \
  "  ldmia r6!, {r0}\n"                                     \
  "  sxth  r1, r0\n"                                        \
  "  subs  r0, r0, r1\n"                                    \
  "  asrs  r0, r0, #16\n"                                   \
  "  movs  r2, r4\n"                                        \
  "  muls  r2, r1, r2\n"                                    \
  "  asrs  r2, r2, #16\n"                                   \
  "  muls  r1, r5, r1\n"                                    \
  "  adds  r2, r2, r1\n"                                    \
  "  movs  r1, r4\n"                                        \
  "  muls  r1, r0, r1\n"                                    \
  "  adds  r2, r2, r1\n"                                    \
  "  muls  r0, r5, r0\n"                                    \
  "  adds  r0, r0, r0\n"                                    \
  "  asrs  r2, r2, #15\n"                                   \
  "  adcs  r0, r2\n"                                        \
  "  asrs  r2, r0, #31\n"                                   \
  "  adds  r0, r0, r2\n"                                    \
  "  mov   r1, r9\n"                                        \
  "  asrs  r0, r0, r3\n"                                    \
  "  adcs  r0, r1\n"                                        \
  "  cmp   r0, r10\n"                                       \
  "  bhi   " LIMIT "f\n"                                    \
  LIMITED ":\n"                                             \
  "  add   r0, r11\n"                                       \
  "  strb  r0, [r7]\n"                                      \
  "  add   r7, r12\n"

// Below 0: 0, above the range: the range.
#define INTO_LIMITS(LIMIT, LIMITED) \
  LIMIT ":\n"                       \
  "  asrs  r1, r0, #31\n"           \
  "  mov   r0, r10\n"               \
  "  bics  r0, r1\n"                \
  "  b     " LIMITED "b\n"

// The rows of a group. r0-r2 products, r3-r6 weights, r7 vectors; r8 index, r9
// its end, r10 value, r11 bias, r12 column, lr where the
// sums end. On the stack: the row's sums, the group.
SPARSESEP_NAKED static void run_group(
    Group* group __attribute__((unused))) {
  __asm__ volatile(
      SPARSESEP_V6M_ENTER
      "  push  {r0}\n"
      "  mov   lr, sp\n"
      "  sub   sp, #32\n"
      "1:\n"
      "  ldr   r0, [sp, #32]\n"
      "  ldmia r0!, {r1, r2, r3, r4}\n"
      "  mov   r8, r1\n"
      "  mov   r9, r2\n"
      "  mov   r10, r3\n"
      "  adds  r3, #4\n"
      "  ldmia r4!, {r5}\n"
      "  mov   r11, r5\n"
      "  ldr   r7, [r0, #16]\n"
      "  mov   r12, r7\n"
      "  subs  r0, #8\n"
      "  stmia r0!, {r3, r4}\n"
      "  cmp   r1, r2\n"
      "  bne   4f\n"
      "  mov   r2, r11\n"
      ALL(EMPTY)
      "  b     5f\n"
      "4:\n"
      WEIGHTS
      ALL(FIRST)
      "  b     3f\n"
      "2:\n"
      WEIGHTS
      ALL(NEXT)
      "3:\n"
      "  cmp   r8, r9\n"
      "  bne   2b\n"
      "5:\n"
      "  ldr   r0, [sp, #32]\n"
      "  adds  r0, #16\n"
      "  ldmia r0!, {r1, r2, r7}\n"
      "  ldmia r1!, {r5}\n"
      "  uxth  r4, r5\n"
      "  asrs  r5, r5, #16\n"
      "  movs  r3, #0\n"
      "  ldrsb r3, [r2, r3]\n"
      "  rsbs  r3, r3, #0\n"
      "  adds  r2, #1\n"
      "  adds  r6, r7, #1\n"
      "  subs  r0, #12\n"
      "  stmia r0!, {r1, r2, r6}\n"
      "  adds  r0, #8\n"
      "  ldmia r0!, {r1, r2, r6}\n"
      "  mov   r9, r1\n"
      "  mov   r10, r2\n"
      "  mov   r11, r6\n"
      "  ldr   r0, [r0]\n"
      "  mov   r12, r0\n"
      "  mov   r6, sp\n"
      "6:\n"
      FINISH("91", "92")
      FINISH("93", "94")
      FINISH("95", "96")
      FINISH("97", "98")
      "  cmp   r6, lr\n"
      "  bne   6b\n"
      "  ldr   r0, [sp, #32]\n"
      "  ldr   r1, [r0, #28]\n"
      "  subs  r1, #1\n"
      "  str   r1, [r0, #28]\n"
      "  beq   7f\n"
      "  b     1b\n"
      INTO_LIMITS("91", "92")
      INTO_LIMITS("93", "94")
      INTO_LIMITS("95", "96")
      INTO_LIMITS("97", "98")
      "7:\n"
      "  add   sp, #36\n"
      SPARSESEP_V6M_LEAVE);
}

// clang-format on

static void run_pass(const SparsesepPackedHeader* weights,
                     const SparsesepRows* rows, const int32_t* wide,
                     int8_t* out) {
  const uint16_t* counts = sparsesep_section(weights, weights->counts_offset);
  Group group = {
      .index = sparsesep_section(weights, weights->index_offset),
      .value = sparsesep_section(weights, weights->value_offset),
      .bias = rows->bias,
      .multiplier = rows->multiplier,
      .shift = rows->shift,
      .out = out,
      .wide = wide,
      .zero_point = rows->output_zero_point - rows->activation_min,
      .range = rows->activation_max - rows->activation_min,
      .activation_min = rows->activation_min,
      .stride = weights->rows,
  };
  for (uint32_t left = weights->rows; left > 0; left -= 4) {
    const uint32_t blocks = *counts++;
    const int8_t* const value = group.value;
    group.index_end = group.index + blocks;
    group.rows_left = 4;
    run_group(&group);
    group.index = group.index_end;
    group.value = value + 16 * blocks;
  }
}

void sparsesep_run_whole_eight_vectors_v6m(
    const SparsesepPackedHeader* weights,
    const SparsesepFullyConnectedParams* params, const void* input,
    int32_t batch, void* output, void* scratch,
    SparsesepMultiplyGroups multiply) {
  const SparsesepRows rows = sparsesep_rows(weights, params);
  const uint32_t step = (uint32_t)params->input_step;
  const uint32_t cols = weights->cols;
  const int8_t* x = input;
  int8_t* out = output;
  if (rows.bounded && cols <= SPARSESEP_EIGHT_V6M_MOST_COLS &&
      ((weights->rows | cols | step | (uintptr_t)input) & 3) == 0) {
    for (; batch >= SPARSESEP_EIGHT_VECTORS; batch -= SPARSESEP_EIGHT_VECTORS) {
      int32_t* const wide = scratch;
      for (uint32_t n = 0; n < SPARSESEP_EIGHT_VECTORS; ++n, x += step) {
        widen(x, cols, wide + 4 * n);
      }
      run_pass(weights, &rows, wide, out);
      out += SPARSESEP_EIGHT_VECTORS * weights->rows;
    }
  }
  sparsesep_run_row_groups(weights, params, x, batch, out, scratch, multiply);
}

#endif
