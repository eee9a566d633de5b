// 1x1 blocks, one bit for each column, int8 values: Armv6-M.
//
// 13 instructions a nonzero, and 25 for each 32 columns.
#include <stddef.h>

#include "common/isa.h"
#include "sparse_fully_connected/row_groups.h"
#include "sparse_fully_connected/v6m/v6m.h"
#include "sparse_fully_connected/variants.h"

#if SPARSESEP_HAS_V6M

_Static_assert(offsetof(SparsesepPackedHeader, cols) == 20,
               "read by number below");

// Armv6-M does not count zeros. A de Bruijn sequence of order 5 has every group
// of five bits once: multiplied by a power of two, the group that tells the
// exponent moves to the top.
static const uint8_t exponents[32] __attribute__((used)) = {
    0,  1,  28, 2,  29, 14, 24, 3, 30, 22, 20, 15, 25, 17, 4,  8,
    31, 27, 13, 23, 21, 19, 16, 7, 26, 12, 18, 6,  11, 5,  10, 9};

// clang-format off

// r0 exponents, r1 inputs of the word, r2 bits, r3 the lowest of them, then its
// input, r4 nonzeros so far, r5 weight, r6 value, r7 de Bruijn sequence; r8
// sum, r9 bitmap, r10 where the row's ends, r11 bytes of a row, r12 inputs of
// the next word; on the stack: streams, vector, groups, acc.
SPARSESEP_V6M_MULTIPLY {
  __asm__ volatile(
      SPARSESEP_V6M_ENTER
      "  push  {r0-r3}\n"
      "  ldr   r4, [r0, #12]\n"
      "  ldr   r4, [r4, #20]\n"
      "  adds  r4, #7\n"
      "  lsrs  r4, r4, #3\n"
      "  mov   r11, r4\n"
      "  ldr   r4, [r0, #4]\n"
      "  mov   r9, r4\n"
      "  ldr   r6, [r0, #8]\n"
      "  ldr   r0, =exponents\n"
      "  ldr   r7, =0x077cb531\n"
      "1:\n"
      "  mov   r3, r9\n"
      "  add   r3, r11\n"
      "  mov   r10, r3\n"
      "  ldr   r3, [sp, #4]\n"
      "  mov   r12, r3\n"
      "  movs  r4, #0\n"
      "  mov   r8, r4\n"
      "2:\n"                    // four bytes, at any address, as one word
      "  mov   r1, r12\n"
      "  mov   r3, r9\n"
      "  mov   r5, r10\n"
      "  subs  r5, r5, r3\n"
      "  beq   5f\n"
      "  cmp   r5, #4\n"
      "  blo   4f\n"
      "  ldrb  r2, [r3, #3]\n"
      "  lsls  r2, r2, #8\n"
      "  ldrb  r5, [r3, #2]\n"
      "  orrs  r2, r5\n"
      "  lsls  r2, r2, #8\n"
      "  ldrb  r5, [r3, #1]\n"
      "  orrs  r2, r5\n"
      "  lsls  r2, r2, #8\n"
      "  ldrb  r5, [r3, #0]\n"
      "  adds  r3, #4\n"
      "  mov   r9, r3\n"
      "  movs  r3, #32\n"
      "  add   r12, r3\n"
      "  orrs  r2, r5\n"
      "  beq   2b\n"
      "3:\n"
      "  rsbs  r3, r2, #0\n"
      "  ands  r3, r2\n"
      "  eors  r2, r3\n"
      "  muls  r3, r7, r3\n"
      "  lsrs  r3, r3, #27\n"
      "  ldrb  r3, [r0, r3]\n"
      "  ldrsb r3, [r1, r3]\n"
      "  ldrsb r5, [r6, r4]\n"
      "  adds  r4, #1\n"
      "  muls  r3, r5, r3\n"
      "  add   r8, r3\n"
      "  cmp   r2, #0\n"
      "  bne   3b\n"
      "  b     2b\n"
      "4:\n"                    // one byte: fewer than four are left
      "  ldrb  r2, [r3]\n"
      "  adds  r3, #1\n"
      "  mov   r9, r3\n"
      "  movs  r3, #8\n"
      "  add   r12, r3\n"
      "  cmp   r2, #0\n"
      "  bne   3b\n"
      "  b     2b\n"
      "5:\n"
      "  adds  r6, r6, r4\n"
      "  ldr   r5, [sp, #12]\n"
      "  mov   r3, r8\n"
      "  stmia r5!, {r3}\n"
      "  str   r5, [sp, #12]\n"
      "  ldr   r5, [sp, #8]\n"
      "  subs  r5, #1\n"
      "  str   r5, [sp, #8]\n"
      "  bne   1b\n"
      "  pop   {r0-r3}\n"
      "  mov   r3, r9\n"
      "  str   r3, [r0, #4]\n"
      "  str   r6, [r0, #8]\n"
      SPARSESEP_V6M_LEAVE
      "  .ltorg\n");
}

// clang-format on

void sparsesep_fully_connected_1x1_bitmap_int8_v6m(
    const SparsesepPackedHeader* weights,
    const SparsesepFullyConnectedParams* params, const void* input,
    int32_t batch, void* output, void* scratch) {
  sparsesep_run_row_groups(weights, params, input, batch, output, scratch,
                           multiply);
}

#endif
