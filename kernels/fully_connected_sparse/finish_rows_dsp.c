// Requantises rows with the DSP extension.
//
// 11.25 instructions a row where the accumulators are bounded, and 2 more where
// the activation's limits are narrower than int8.
#include "isa.h"

#if SPARSESEP_HAS_DSP && !SPARSESEP_HAS_MVE

#include "rows.h"

// One row from accumulator and multiplier:
//   high = (2 * acc * multiplier + 2^31) >> 32; negative ones less 1, so that
//   halves go away from zero; the right shift leaves the last bit that it
//   shifts out in the carry, and `adc` rounds with it.
// ASR reads the low byte of `shift`.
#define FINISH_ROW(acc, multiplier)      \
  "lsl " acc ", " acc                    \
  ", #1\n\t"                             \
  "smmulr " acc ", " acc ", " multiplier \
  "\n\t"                                 \
  "add " acc ", " acc ", " acc           \
  ", asr #31\n\t"                        \
  "asrs " acc ", " acc                   \
  ", r9\n\t"                             \
  "adc " acc ", " acc                    \
  ", r5\n\t"                             \
  "ssat " acc ", #8, " acc               \
  "\n\t"                                 \
  "strb " acc ", [r4], #1\n\t"

// Two rows; r9 holds their right shifts in its low bytes.
#define FINISH_TWO_ROWS                     \
  "ldrd r7, r8, [r0], #8\n\t"               \
  "ldrd r10, r11, [r1], #8\n\t"             \
  "add r7, r7, r10\n\t"                     \
  "add r8, r8, r11\n\t"                     \
  "ldrd r10, r11, [r2], #8\n\t" FINISH_ROW( \
      "r7", "r10") "lsr r9, r9, #8\n\t" FINISH_ROW("r8", "r11")

// Assembly reads this struct.
typedef struct Bounded {
  const uint32_t* acc;        // r0
  const int32_t* bias;        // r1
  const int32_t* multiplier;  // r2
  const int8_t* shift;        // r3
  int8_t* out;                // r4
  int32_t output_zero_point;  // r5
  int8_t* out_end;            // r6
} Bounded;

// Rows until out_end: four a round.
__attribute__((naked, noinline)) static void finish_bounded(
    const Bounded* rows __attribute__((unused))) {
  __asm__ volatile(
      "push {r4-r11, lr}\n\t"
      "ldmia r0, {r0-r6}\n\t"
      "mov r12, #0\n"
      "1:\n\t"
      "ldr r9, [r3], #4\n\t"
      "usub8 r9, r12, r9\n\t" FINISH_TWO_ROWS
      "lsr r9, r9, #8\n\t" FINISH_TWO_ROWS
      "cmp r4, r6\n\t"
      "bne 1b\n\t"
      "pop {r4-r11, pc}");
}

// Clamps outputs, a multiple of 4 of them.
static void clamp(const SparsesepRows* rows, int8_t* out, const int8_t* end) {
  const uint32_t low = 0x01010101u * (uint8_t)rows->activation_min;
  const uint32_t high = 0x01010101u * (uint8_t)rows->activation_max;
  uint32_t four, difference;
  __asm__ volatile(
      "1:\n\t"
      "ldr %[four], [%[out]]\n\t"
      "ssub8 %[difference], %[four], %[low]\n\t"
      "sel %[four], %[four], %[low]\n\t"
      "ssub8 %[difference], %[high], %[four]\n\t"
      "sel %[four], %[four], %[high]\n\t"
      "str %[four], [%[out]], #4\n\t"
      "cmp %[out], %[end]\n\t"
      "bne 1b"
      : [out] "+r"(out), [four] "=&r"(four), [difference] "=&r"(difference)
      : [low] "r"(low), [high] "r"(high), [end] "r"(end)
      : "cc", "memory");
}

int8_t* sparsesep_finish_rows(const SparsesepRows* rows, uint32_t first,
                              uint32_t count, const uint32_t* acc,
                              int8_t* out) {
  const uint32_t fast = rows->bounded ? count & ~3u : 0;
  if (fast > 0) {
    const Bounded bounded = {
        acc,
        rows->bias + first,
        rows->multiplier + first,
        rows->shift + first,
        out,
        rows->output_zero_point,
        out + fast,
    };
    finish_bounded(&bounded);
    if (rows->activation_min > INT8_MIN || rows->activation_max < INT8_MAX) {
      clamp(rows, out, out + fast);
    }
  }
  if (fast == count) return out + fast;
  return sparsesep_finish_rows_general(rows, first + fast, count - fast,
                                       acc + fast, out + fast);
}

#endif
