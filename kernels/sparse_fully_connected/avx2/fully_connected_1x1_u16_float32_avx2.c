// 1x1 blocks, uint16 columns, float32 values: AVX2, eight blocks a round.
#include "common/isa.h"

#if SPARSESEP_HAS_X86

#include "common/float_limits.h"
#include "sparse_fully_connected/avx2/x86.h"
#include "sparse_fully_connected/variants.h"

// The sum of `count` products.
SPARSESEP_AVX2
static float multiply(const uint16_t* column, const float* value,
                      const float* vector, uint32_t count) {
  __m256 sums = _mm256_setzero_ps();
  for (; count >= 8; count -= 8, column += 8, value += 8) {
    const __m256 inputs =
        _mm256_setr_ps(vector[column[0]], vector[column[1]], vector[column[2]],
                       vector[column[3]], vector[column[4]], vector[column[5]],
                       vector[column[6]], vector[column[7]]);
    sums = _mm256_fmadd_ps(_mm256_loadu_ps(value), inputs, sums);
  }
  float sum = sparsesep_sum_floats_avx2(sums);
  for (; count > 0; --count) sum += *value++ * vector[*column++];
  return sum;
}

SPARSESEP_KERNEL_FUNCTION(1x1_u16_float32, avx2) {
  (void)scratch;
  const float low = sparsesep_float_from_bits(params->activation_min);
  const float high = sparsesep_float_from_bits(params->activation_max);
  const float* bias = sparsesep_section(weights, weights->bias_offset);
  const uint16_t* counts = sparsesep_section(weights, weights->counts_offset);
  const float* vector = input;
  float* out = output;

  for (; batch > 0; --batch, vector += params->input_step) {
    const uint16_t* column = sparsesep_section(weights, weights->index_offset);
    const float* value = sparsesep_section(weights, weights->value_offset);
    for (uint32_t row = 0; row < weights->rows; ++row) {
      const float acc = multiply(column, value, vector, counts[row]);
      column += counts[row];
      value += counts[row];
      *out++ = sparsesep_clamp_float(acc + bias[row], low, high);
    }
  }
}

#endif  // SPARSESEP_HAS_X86
