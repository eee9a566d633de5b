// 1x1 blocks, uint16 columns, float32 values: Helium with floats.
//
// 4 weights take their inputs with one gather of words: 5 instructions. A
// gather counts as one instruction, but takes a core as many cycles as it
// fetches words, or more: speedups by count are upper bounds.
//
// Four partial sums a row, fused multiply-adds, and denormals flushed to zero
// (Helium always does that): results differ from the scalar kernel's by
// rounding.
#include "common/float_limits.h"
#include "common/isa.h"
#include "sparse_fully_connected/variants.h"

#if SPARSESEP_HAS_MVE_FLOAT

SPARSESEP_KERNEL_FUNCTION(1x1_u16_float32, mve) {
  (void)scratch;
  const float low = sparsesep_float_from_bits(params->activation_min);
  const float high = sparsesep_float_from_bits(params->activation_max);
  const float* bias = sparsesep_section(weights, weights->bias_offset);
  const uint16_t* counts = sparsesep_section(weights, weights->counts_offset);
  const float* x = input;
  float* out = output;

  for (; batch > 0; --batch, x += params->input_step) {
    const uint16_t* column = sparsesep_section(weights, weights->index_offset);
    const float* value = sparsesep_section(weights, weights->value_offset);
    for (uint32_t row = 0; row < weights->rows; ++row) {
      float sum;
      // Counts are multiples of 4, so that WLSTP needs no division.
      __asm__ volatile(
          "vmov.i32 q2, #0\n"
          "wlstp.32 lr, %[count], 2f\n"
          "1:\n"
          "vldrh.u32 q0, [%[column]], #8\n"
          "vldrw.u32 q1, [%[x], q0, uxtw #2]\n"
          "vldrw.u32 q0, [%[value]], #16\n"
          "vfma.f32 q2, q0, q1\n"
          "letp lr, 1b\n"
          "2:\n"
          "vadd.f32 s8, s8, s9\n"  // the lanes of q2
          "vadd.f32 s10, s10, s11\n"
          "vadd.f32 %[sum], s8, s10\n"
          : [column] "+&l"(column), [value] "+&r"(value), [sum] "=t"(sum)
          : [x] "r"(x), [count] "r"(counts[row])
          : "q0", "q1", "q2", "lr", "cc", "memory");
      *out++ = sparsesep_clamp_float(sum + bias[row], low, high);
    }
  }
}

#endif  // SPARSESEP_HAS_MVE_FLOAT
