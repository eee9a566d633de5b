// Accumulators to outputs, four rows at a time: 12 instructions per 4 rows, 16
// where a shift may be to the left.
//
// VQRDMULH is gemmlowp's doubling high product, bit for bit: both round halves
// up, and only INT32_MIN * INT32_MIN would saturate. VRSHL rounds halves up,
// too, where gemmlowp's division rounds them away from zero: taking one off
// negative products before it makes up for that.
#include "common/requantize_mve.h"

#include "common/isa.h"

#if SPARSESEP_HAS_MVE

#include <arm_mve.h>

// Adds the zero point, clamps and stores four of %[output]; ends the loop.
#define FINISH                       \
  "vadd.i32 q0, q0, %[zero_point]\n" \
  "vmax.s32 q0, q0, %q[low]\n"       \
  "vmin.s32 q0, q0, %q[high]\n"      \
  "vstrb.32 q0, [%[output]], #4\n"   \
  "letp lr, 1b\n"                    \
  "2:\n"

// All shifts are below 0.
static void requantize_right(const SparsesepRows* rows, uint32_t first,
                             uint32_t count, const int32_t* acc,
                             int8_t* output) {
  const int32_t* multiplier = rows->multiplier + first;
  const int8_t* shift = rows->shift + first;
  const int32x4_t low = vdupq_n_s32(rows->activation_min);
  const int32x4_t high = vdupq_n_s32(rows->activation_max);
  // clang-format off
  __asm__ volatile(
      "wlstp.32 lr, %[count], 2f\n"
      "1:\n"
      "vldrw.u32 q0, [%[acc]], #16\n"
      "vldrw.u32 q1, [%[multiplier]], #16\n"
      "vqrdmulh.s32 q0, q0, q1\n"
      "vshr.s32 q1, q0, #31\n"
      "vadd.i32 q0, q0, q1\n"
      "vldrb.s32 q1, [%[shift]], #4\n"
      "vrshl.s32 q0, q0, q1\n"
      FINISH
      : [acc] "+&r"(acc), [multiplier] "+&r"(multiplier), [shift] "+&l"(shift),
        [output] "+&l"(output)
      : [count] "r"(count), [zero_point] "r"(rows->output_zero_point),
        [low] "w"(low), [high] "w"(high)
      : "q0", "q1", "lr", "cc", "memory");
  // clang-format on
}

// Any shift: to the left (wrapping) before the product, to the right after it.
static void requantize_both_ways(const SparsesepRows* rows, uint32_t first,
                                 uint32_t count, const int32_t* acc,
                                 int8_t* output) {
  const int32_t* multiplier = rows->multiplier + first;
  const int8_t* shift = rows->shift + first;
  const int32x4_t zero = vdupq_n_s32(0);
  const int32x4_t low = vdupq_n_s32(rows->activation_min);
  const int32x4_t high = vdupq_n_s32(rows->activation_max);
  // clang-format off
  __asm__ volatile(
      "wlstp.32 lr, %[count], 2f\n"
      "1:\n"
      "vldrw.u32 q0, [%[acc]], #16\n"
      "vldrb.s32 q1, [%[shift]], #4\n"
      "vmax.s32 q2, q1, %q[zero]\n"
      "vshl.s32 q0, q0, q2\n"
      "vldrw.u32 q2, [%[multiplier]], #16\n"
      "vqrdmulh.s32 q0, q0, q2\n"
      "vmin.s32 q1, q1, %q[zero]\n"
      "vand q2, q0, q1\n"  // negative where both are
      "vshr.s32 q2, q2, #31\n"
      "vadd.i32 q0, q0, q2\n"
      "vrshl.s32 q0, q0, q1\n"
      FINISH
      : [acc] "+&r"(acc), [multiplier] "+&r"(multiplier), [shift] "+&l"(shift),
        [output] "+&l"(output)
      : [count] "r"(count), [zero_point] "r"(rows->output_zero_point),
        [low] "w"(low), [high] "w"(high), [zero] "w"(zero)
      : "q0", "q1", "q2", "lr", "cc", "memory");
  // clang-format on
}

void sparsesep_requantize_rows_mve(const SparsesepRows* rows, uint32_t first,
                                   uint32_t count, const int32_t* acc,
                                   int8_t* output) {
  if (TFLITE_SINGLE_ROUNDING) {
    for (uint32_t n = 0; n < count; ++n) {
      output[n] = sparsesep_finish_row(rows, first + n, (uint32_t)acc[n]);
    }
  } else if (rows->bounded) {
    requantize_right(rows, first, count, acc, output);
  } else {
    requantize_both_ways(rows, first, count, acc, output);
  }
}

#endif  // SPARSESEP_HAS_MVE
