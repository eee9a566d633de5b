#include "common/clamp_dsp.h"

#include "common/isa.h"
#include "sparsesep/compiler.h"

#if SPARSESEP_HAS_DSP && !SPARSESEP_HAS_MVE

// Four outputs a round. GE flags of ssub8 say which bytes are not below.
SPARSESEP_USED
void sparsesep_clamp_dsp(const SparsesepRows* rows, int8_t* out,
                         const int8_t* end) {
  if (rows->activation_max - rows->activation_min == UINT8_MAX) return;
  const uint32_t low = 0x01010101u * (uint8_t)rows->activation_min;
  const uint32_t high = 0x01010101u * (uint8_t)rows->activation_max;
  uint32_t four, difference;
  __asm__ volatile(
      "1:\n"
      "  ldr %[four], [%[out]]\n"
      "  ssub8 %[difference], %[four], %[low]\n"
      "  sel %[four], %[four], %[low]\n"
      "  ssub8 %[difference], %[high], %[four]\n"
      "  sel %[four], %[four], %[high]\n"
      "  str %[four], [%[out]], #4\n"
      "  cmp %[out], %[end]\n"
      "  bne 1b\n"
      : [out] "+r"(out), [four] "=&r"(four), [difference] "=&r"(difference)
      : [low] "r"(low), [high] "r"(high), [end] "r"(end)
      : "cc", "memory");
}

#endif
