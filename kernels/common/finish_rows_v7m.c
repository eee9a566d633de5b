// Requantizes rows on Armv7-M.
//
// 19 instructions a row where the accumulators are bounded.
#include "common/isa.h"
#include "common/rows.h"

#if SPARSESEP_HAS_V7M && !SPARSESEP_HAS_DSP

// With |acc| < 2^30 the upper word of 2 * acc * multiplier is the doubling high
// product. Shifts leave the last bit that they shift out in the carry: `adc`
// rounds with it.
int8_t* sparsesep_finish_rows(const SparsesepRows* rows, uint32_t first,
                              uint32_t count, const uint32_t* acc,
                              int8_t* out) {
  if (!rows->bounded) {
    return sparsesep_finish_rows_general(rows, first, count, acc, out);
  }
  const int32_t* bias = rows->bias + first;
  const int32_t* multiplier = rows->multiplier + first;
  const int8_t* shift = rows->shift + first;
  const int32_t zero_point = rows->output_zero_point - rows->activation_min;
  const int32_t range = rows->activation_max - rows->activation_min;
  int32_t a, b, c;
  // clang-format off
  __asm__ volatile(
      "1:\n"
      "  ldr   %[a], [%[acc]], #4\n"
      "  ldr   %[b], [%[bias]], #4\n"
      "  ldr   %[c], [%[mult]], #4\n"
      "  add   %[a], %[a], %[b]\n"
      "  lsl   %[a], %[a], #1\n"
      "  smull %[a], %[b], %[a], %[c]\n"
      "  ldrsb %[c], [%[shift]], #1\n"
      "  lsls  %[a], %[a], #1\n"
      "  adc   %[b], %[b], #0\n"             // doubling high product
      "  add   %[b], %[b], %[b], asr #31\n"  // halves go away from zero
      "  rsb   %[c], %[c], #0\n"
      "  asrs  %[b], %[b], %[c]\n"
      "  adc   %[b], %[b], %[zero]\n"  // counts from activation_min
      "  cmp   %[b], %[range]\n"
      "  bhi   3f\n"
      "2:\n"
      "  add   %[b], %[b], %[min]\n"
      "  strb  %[b], [%[out]], #1\n"
      "  subs  %[count], %[count], #1\n"
      "  bne   1b\n"
      "  b     4f\n"
      "3:\n"  // below 0: 0, above range: range
      "  bic   %[b], %[range], %[b], asr #31\n"
      "  b     2b\n"
      "4:\n"
      : [acc] "+r"(acc), [bias] "+r"(bias), [mult] "+r"(multiplier),
        [shift] "+r"(shift), [out] "+r"(out), [count] "+r"(count), [a] "=&r"(a),
        [b] "=&r"(b), [c] "=&r"(c)
      : [zero] "r"(zero_point), [range] "r"(range),
        [min] "r"(rows->activation_min)
      : "cc", "memory");
  // clang-format on
  return out;
}

#endif
