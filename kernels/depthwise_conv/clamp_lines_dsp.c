#include "common/isa.h"
#include "depthwise_conv/depthwise.h"

#if SPARSESEP_HAS_DSP_LAYOUTS

// GE flags of ssub8 say which bytes are not below.
static void clamp_four_units(const SparsesepLines* lines) {
  const uint32_t low = 0x01010101u * (uint8_t)lines->rows->activation_min;
  const uint32_t high = 0x01010101u * (uint8_t)lines->rows->activation_max;
  int8_t* pixel = lines->output;
  uint32_t count = lines->outputs;
  uint32_t four_units, difference;
  __asm__ volatile(
      "1:\n"
      "  ldr %[four], [%[pixel]]\n"
      "  ssub8 %[difference], %[four], %[low]\n"
      "  sel %[four], %[four], %[low]\n"
      "  ssub8 %[difference], %[high], %[four]\n"
      "  sel %[four], %[four], %[high]\n"
      "  str %[four], [%[pixel]]\n"
      "  add %[pixel], %[pixel], %[step]\n"
      "  subs %[count], %[count], #1\n"
      "  bne 1b\n"
      : [pixel] "+r"(pixel), [count] "+r"(count), [four] "=&r"(four_units),
        [difference] "=&r"(difference)
      : [low] "r"(low), [high] "r"(high), [step] "r"(lines->output_step)
      : "cc", "memory");
}

static void clamp_units(const SparsesepLines* lines) {
  const int8_t low = (int8_t)lines->rows->activation_min;
  const int8_t high = (int8_t)lines->rows->activation_max;
  int8_t* pixel = lines->output;
  for (uint32_t n = lines->outputs; n > 0; --n, pixel += lines->output_step) {
    for (uint32_t unit = 0; unit < lines->units; ++unit) {
      if (pixel[unit] < low) pixel[unit] = low;
      if (pixel[unit] > high) pixel[unit] = high;
    }
  }
}

void sparsesep_clamp_lines_dsp(const SparsesepLines* lines) {
  const SparsesepRows* rows = lines->rows;
  if (rows->activation_max - rows->activation_min == UINT8_MAX) return;
  if (lines->units == 4) {
    clamp_four_units(lines);
  } else {
    clamp_units(lines);
  }
}

#endif
