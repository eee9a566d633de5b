// 4x1 blocks, column after column, uint16 offsets, int8 values: Armv6-M.
//
// 6.5 instructions a weight: 1.75 for the weight, multiply, add, and 11 for
// each block's sums and loop.
#include "common/isa.h"
#include "sparse_fully_connected/columns.h"
#include "sparse_fully_connected/v6m/v6m.h"
#include "sparse_fully_connected/variants.h"
#include "sparsesep/compiler.h"

#if SPARSESEP_HAS_V6M

// clang-format off

// r0 offset, r1 value, r2 input, r3 weights, r4 weight, r5 and r6 two sums,
// r7 where they are; r8 acc, r9 where the offsets of the column end,
// r10 vector, r11 counts, r12 input_zero_point, lr where the vector ends.
static SPARSESEP_NAKED void multiply(
    const SparsesepColumnStreams* streams __attribute__((unused)),
    const int8_t* vector __attribute__((unused)),
    uint32_t cols __attribute__((unused)),
    int32_t input_zero_point __attribute__((unused)),
    uint32_t* acc __attribute__((unused))) {
  __asm__ volatile(
      SPARSESEP_V6M_ENTER
      "  mov   r10, r1\n"
      "  adds  r2, r2, r1\n"
      "  mov   lr, r2\n"
      "  mov   r12, r3\n"
      "  ldr   r4, [sp, #36]\n"  // acc, below what has just been pushed
      "  mov   r8, r4\n"
      "  ldr   r4, [r0, #0]\n"
      "  mov   r11, r4\n"
      "  ldr   r1, [r0, #8]\n"
      "  ldr   r0, [r0, #4]\n"
      "1:\n"
      "  mov   r4, r10\n"
      "  ldrb  r2, [r4]\n"
      "  sxtb  r2, r2\n"
      "  adds  r4, #1\n"
      "  mov   r10, r4\n"
      "  mov   r4, r11\n"
      "  ldrh  r3, [r4]\n"
      "  adds  r4, #2\n"
      "  mov   r11, r4\n"
      "  lsls  r3, r3, #1\n"
      "  adds  r4, r3, r0\n"
      "  mov   r9, r4\n"
      "  mov   r4, r12\n"
      "  subs  r2, r2, r4\n"
      "  bne   3f\n"
      "  mov   r0, r9\n"         // the input is 0: pass over the column
      "  lsls  r3, r3, #1\n"
      "  adds  r1, r1, r3\n"
      "  b     4f\n"
      "2:\n"
      "  ldrh  r7, [r0]\n"
      "  adds  r0, #2\n"
      "  add   r7, r8\n"
      "  ldmia r1!, {r3}\n"
      "  ldmia r7!, {r5, r6}\n"
      "  sxtb  r4, r3\n"
      "  muls  r4, r2, r4\n"
      "  adds  r5, r5, r4\n"
      "  rev16 r4, r3\n"
      "  sxtb  r4, r4\n"
      "  muls  r4, r2, r4\n"
      "  adds  r6, r6, r4\n"
      "  subs  r7, #8\n"
      "  stmia r7!, {r5, r6}\n"
      "  ldmia r7!, {r5, r6}\n"
      "  lsls  r4, r3, #8\n"
      "  asrs  r4, r4, #24\n"
      "  muls  r4, r2, r4\n"
      "  adds  r5, r5, r4\n"
      "  asrs  r3, r3, #24\n"
      "  muls  r3, r2, r3\n"
      "  adds  r6, r6, r3\n"
      "  subs  r7, #8\n"
      "  stmia r7!, {r5, r6}\n"
      "3:\n"
      "  cmp   r0, r9\n"
      "  bne   2b\n"
      "4:\n"
      "  cmp   r10, lr\n"
      "  bne   1b\n"
      SPARSESEP_V6M_LEAVE);
}

// clang-format on

SPARSESEP_KERNEL(4x1_offset16_int8_column, v6m, sparsesep_run_columns, multiply)

#endif
