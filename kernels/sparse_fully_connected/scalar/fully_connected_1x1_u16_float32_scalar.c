// 1x1 blocks, uint16 columns, float32 values: any core.
#include "common/float_limits.h"
#include "sparse_fully_connected/variants.h"

SPARSESEP_KERNEL_FUNCTION(1x1_u16_float32, scalar) {
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
      float acc = 0;
      for (uint32_t n = counts[row]; n > 0; --n) {
        acc += *value++ * vector[*column++];
      }
      *out++ = sparsesep_clamp_float(acc + bias[row], low, high);
    }
  }
}
