// Armv7E-M and Armv8-M with DSP: 10 instructions a sum, and 2 for each four.
#include "common/isa.h"
#include "sparse_conv/residual.h"

#if SPARSESEP_HAS_DSP && !SPARSESEP_HAS_MVE

void sparsesep_add_operands(const SparsesepAddition* addition,
                            const int8_t* wide, const int8_t* narrow,
                            int8_t* out, size_t count) {
  int32_t value, sum;
  __asm__ volatile(
      ".macro one\n"
      "  ldrb  %[sum], [%[narrow]], #1\n"
      "  ldrsb %[value], [%[wide]], #1\n"
      "  ldr   %[sum], [%[table], %[sum], lsl #2]\n"
      "  add   %[sum], %[sum], %[value], lsl #20\n"
      "  smmulr %[sum], %[sum], %[multiplier]\n"
      "  add   %[sum], %[sum], %[sum], asr #31\n"
      "  add   %[sum], %[sum], %[rounding]\n"
      "  asr   %[sum], %[sum], %[shift]\n"
      "  ssat  %[sum], #8, %[sum]\n"
      "  strb  %[sum], [%[out]], #1\n"
      ".endm\n"
      "  subs  %[count], %[count], #4\n"
      "  blo   2f\n"
      "1:\n"
      "  one\n  one\n  one\n  one\n"
      "  subs  %[count], %[count], #4\n"
      "  bhs   1b\n"
      "2:\n"
      "  adds  %[count], %[count], #4\n"
      "  beq   4f\n"
      "3:\n"
      "  one\n"
      "  subs  %[count], %[count], #1\n"
      "  bne   3b\n"
      "4:\n"
      ".purgem one\n"
      : [wide] "+r"(wide), [narrow] "+r"(narrow), [out] "+r"(out),
        [count] "+r"(count), [value] "=&r"(value), [sum] "=&r"(sum)
      : [table] "r"(addition->table), [multiplier] "r"(addition->multiplier),
        [rounding] "r"(addition->rounding), [shift] "r"(addition->shift)
      : "cc", "memory");
}

#endif
