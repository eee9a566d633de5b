// 4x4 blocks, uint8 steps, int8 values: Armv7-M.
//
// 2.5 instructions a weight: load, mla, and 8 for each block's step, inputs and
// loop.
#include "common/isa.h"
#include "sparse_fully_connected/v7m/run_four_vectors_v7m.h"
#include "sparse_fully_connected/variants.h"
#include "sparsesep/compiler.h"

#if SPARSESEP_HAS_FOUR_V7M

// Naked: compilers keep r7 for themselves at -O0, and it needs all registers.
SPARSESEP_NAKED_MULTIPLY {
  __asm__ volatile(
      "value .req r0\n step .req r1\n x .req r2\n end .req r3\n"
      "sum0 .req r4\n sum1 .req r5\n sum2 .req r6\n sum3 .req r7\n"
      "x0 .req r8\n x1 .req r9\n x2 .req r10\n x3 .req r11\n"
      "w .req r12\n counts .req lr\n"
      ".macro weight sum, input\n"
      "  ldrsb w, [value], #1\n"
      "  mla \\sum, w, \\input, \\sum\n"
      ".endm\n"
      ".macro row sum\n"
      "  weight \\sum, x0\n"
      "  weight \\sum, x1\n"
      "  weight \\sum, x2\n"
      "  weight \\sum, x3\n"
      ".endm\n"
      "  push {r0-r11, lr}\n"
      "  ldmia r0, {r4, r5, r6}\n"
      "  mov counts, r4\n"
      "  mov step, r5\n"
      "  mov value, r6\n"
      "1:\n"
      "  ldr x, [sp, #4]\n"
      "  ldrh end, [counts], #2\n"
      "  movs sum0, #0\n"
      "  movs sum1, #0\n"
      "  movs sum2, #0\n"
      "  movs sum3, #0\n"
      "  add end, end, step\n"
      "  b 3f\n"
      "2:\n"
      "  ldrb w, [step], #1\n"
      "  add x, x, w, lsl #2\n"
      "  ldrsb x0, [x, #0]\n"
      "  ldrsb x1, [x, #1]\n"
      "  ldrsb x2, [x, #2]\n"
      "  ldrsb x3, [x, #3]\n"
      "  row sum0\n"
      "  row sum1\n"
      "  row sum2\n"
      "  row sum3\n"
      "3:\n"
      "  cmp step, end\n"
      "  bne 2b\n"
      "  ldrd r8, r9, [sp, #8]\n"  // groups, acc
      "  stmia r9!, {sum0, sum1, sum2, sum3}\n"
      "  subs r8, r8, #1\n"
      "  strd r8, r9, [sp, #8]\n"
      "  bne 1b\n"
      "  pop {r4, r5, r6, r7}\n"
      "  str counts, [r4]\n"
      "  strd step, value, [r4, #4]\n"
      "  pop {r4-r11, pc}\n"
      ".purgem row\n"
      ".purgem weight\n .unreq value\n .unreq step\n .unreq x\n"
      ".unreq end\n .unreq sum0\n .unreq sum1\n .unreq sum2\n"
      ".unreq sum3\n .unreq x0\n .unreq x1\n .unreq x2\n .unreq x3\n"
      ".unreq w\n .unreq counts\n");
}

// Two vectors, whose sums are the first two of each four: a weight that is
// loaded serves both. 1.97 instructions a weight and vector.
//
// r0 value, r1 and r2 inputs, r3 steps and weight, r4-r7 sums of the first
// vector, r8-r11 of the second, r12 and lr inputs. On the stack: steps, their
// end, vectors, counts, acc, acc_end.
SPARSESEP_NAKED static void multiply_two(SparsesepFourV7m* vectors
                                         __attribute__((unused))) {
  __asm__ volatile(
      ".macro weight at, first, second\n"
      "  ldrsb r3, [r0, #(\\at - 16)]\n"
      "  mla \\first, r3, r12, \\first\n"
      "  mla \\second, r3, lr, \\second\n"
      ".endm\n"
      ".macro rest_of_column at\n"
      "  weight (4 + \\at), r5, r9\n"
      "  weight (8 + \\at), r6, r10\n"
      "  weight (12 + \\at), r7, r11\n"
      ".endm\n"
      ".macro column at\n"
      "  ldrsb r12, [r1, #\\at]\n"
      "  ldrsb lr, [r2, #\\at]\n"
      "  weight \\at, r4, r8\n"
      "  rest_of_column \\at\n"
      ".endm\n"
      "  push {r0, r4-r11, lr}\n"
      "  ldmia r0, {r0, r1, r6, r7, r8, r9, r10}\n"
      "  push {r6, r7, r8}\n"
      "  add r10, r9, r10\n"
      "  push {r1, r2, r9, r10}\n"
      "1:\n"
      "  ldr r12, [sp, #16]\n"
      "  ldr r3, [sp]\n"
      "  ldrh lr, [r12], #2\n"
      "  add lr, lr, r3\n"
      "  str r12, [sp, #16]\n"
      "  str lr, [sp, #4]\n"
      "  ldrd r1, r2, [sp, #8]\n"
      "  movs r4, #0\n"
      "  movs r5, #0\n"
      "  movs r6, #0\n"
      "  movs r7, #0\n"
      "  mov r8, r4\n"
      "  mov r9, r4\n"
      "  mov r10, r4\n"
      "  mov r11, r4\n"
      "  b 3f\n"
      "2:\n"
      "  ldrb r12, [r3], #1\n"
      "  str r3, [sp]\n"
      "  add r1, r1, r12, lsl #2\n"
      "  add r2, r2, r12, lsl #2\n"
      "  ldrsb r12, [r1]\n"
      "  ldrsb lr, [r2]\n"
      "  ldrsb r3, [r0], #16\n"
      "  mla r4, r3, r12, r4\n"
      "  mla r8, r3, lr, r8\n"
      "  rest_of_column 0\n"
      "  column 1\n"
      "  column 2\n"
      "  column 3\n"
      "3:\n"
      "  ldrd r3, r12, [sp]\n"
      "  cmp r3, r12\n"
      "  bne 2b\n"
      "  ldr r12, [sp, #20]\n"
      "  strd r4, r8, [r12], #16\n"
      "  strd r5, r9, [r12], #16\n"
      "  strd r6, r10, [r12], #16\n"
      "  strd r7, r11, [r12], #16\n"
      "  ldr r3, [sp, #24]\n"
      "  str r12, [sp, #20]\n"
      "  cmp r12, r3\n"
      "  blo 1b\n"
      "  pop {r1}\n"
      "  ldr r2, [sp, #12]\n"
      "  add sp, sp, #24\n"
      "  pop {r4}\n"
      "  stmia r4, {r0, r1, r2}\n"
      "  pop {r4-r11, pc}\n"
      ".purgem column\n .purgem rest_of_column\n .purgem weight\n");
}

static void multiply_four(SparsesepFourV7m* vectors) {
  SparsesepFourV7m second = *vectors;
  second.acc += 2;
  second.acc_end += 2;
  second.x += 2 * second.step;
  multiply_two(&second);
  multiply_two(vectors);
}

SPARSESEP_KERNEL(4x4_delta8_int8, v7m, sparsesep_run_four_vectors_v7m, multiply,
                 multiply_four)

#endif
