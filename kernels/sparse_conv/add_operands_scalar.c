#include "common/isa.h"
#include "sparse_conv/residual.h"
#include "sparsesep/requantize.h"

#if !SPARSESEP_HAS_V7M

void sparsesep_add_operands(const SparsesepAddition* addition,
                            const int8_t* wide, const int8_t* narrow,
                            int8_t* out, size_t count) {
  const int32_t* const table = addition->table;
  const int32_t multiplier = addition->multiplier;
  const int32_t shift = addition->shift;
  const int32_t rounding = addition->rounding;
  for (; count > 0; --count) {
    const int32_t twice = table[(uint8_t)*narrow++] + *wide++ * (1 << 20);
    const int32_t high = sparsesep_doubling_high_mul(twice >> 1, multiplier);
    const int32_t sum = (high + (high >> 31) + rounding) >> shift;
    *out++ = (int8_t)(sum < INT8_MIN   ? INT8_MIN
                      : sum > INT8_MAX ? INT8_MAX
                                       : sum);
  }
}

#endif
