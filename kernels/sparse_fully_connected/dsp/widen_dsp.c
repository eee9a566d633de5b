#include "common/isa.h"
#include "sparse_fully_connected/dsp/rows_dsp.h"

#if SPARSESEP_HAS_DSP

// 8 inputs in 7 instructions.
#define WIDEN_8                \
  "  ldr r3, [%[input]], #4\n" \
  "  ldr r5, [%[input]], #4\n" \
  "  sxtb16 r4, r3, ror #8\n"  \
  "  sxtb16 r3, r3\n"          \
  "  sxtb16 r6, r5, ror #8\n"  \
  "  sxtb16 r5, r5\n"          \
  "  stmia %[wide]!, {r3, r4, r5, r6}\n"

void sparsesep_widen_dsp(const SparsesepPackedHeader* weights,
                         const int8_t* vector, uint32_t* wide) {
  uint32_t cols = weights->cols;
  const uint32_t rest = sparsesep_padded_cols(weights) - (cols & ~15u);
  for (; cols >= 16; cols -= 16) {
    __asm__ volatile(WIDEN_8 WIDEN_8
                     : [input] "+r"(vector), [wide] "+r"(wide)
                     :
                     : "r3", "r4", "r5", "r6", "memory");
  }
  // Input by input, into the halves of its words.
  int16_t* half = (int16_t*)wide;
  for (uint32_t i = 0; i < rest; ++i) {
    half[(i & ~3u) + (i & 1) * 2 + (i & 2) / 2] = i < cols ? vector[i] : 0;
  }
}

#endif
