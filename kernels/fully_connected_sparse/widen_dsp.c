#include "isa.h"

#if SPARSESEP_HAS_DSP

#include "padded_vector.h"
#include "rows_dsp.h"

// 8 inputs in 7 instructions.
#define WIDEN_8                          \
  "ldr r3, [%[input]], #4\n\t"           \
  "ldr r5, [%[input]], #4\n\t"           \
  "sxtb16 r4, r3, ror #8\n\t"            \
  "sxtb16 r3, r3\n\t"                    \
  "sxtb16 r6, r5, ror #8\n\t"            \
  "sxtb16 r5, r5\n\t"                    \
  "stmia %[wide]!, {r3, r4, r5, r6}\n\t"

void sparsesep_widen_dsp(const SparsesepPackedHeader* weights,
                         const int8_t* input, uint32_t* wide) {
  uint32_t cols = weights->cols;
  uint32_t padded = sparsesep_padded_cols(weights) - (cols & ~15u);
  for (; cols >= 16; cols -= 16) {
    __asm__ volatile(WIDEN_8 WIDEN_8
                     : [input] "+r"(input), [wide] "+r"(wide)
                     :
                     : "r3", "r4", "r5", "r6", "memory");
  }
  // The rest input by input, into the halves of its words.
  int16_t* half = (int16_t*)wide;
  for (uint32_t i = 0; i < padded; ++i) {
    half[(i & ~3u) + (i & 1) * 2 + (i & 2) / 2] = i < cols ? input[i] : 0;
  }
}

#endif  // SPARSESEP_HAS_DSP
