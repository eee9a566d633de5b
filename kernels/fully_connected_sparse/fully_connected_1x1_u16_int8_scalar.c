// 1x1 blocks, uint16 columns, int8 values: any core.
#include "sparsesep/requantize.h"
#include "variants.h"

void sparsesep_fully_connected_1x1_u16_int8_scalar(
    const SparsesepPackedHeader* weights,
    const SparsesepFullyConnectedParams* params, const void* input,
    int32_t batch, void* output, void* scratch) {
  (void)scratch;
  const int32_t* bias = sparsesep_section(weights, weights->bias_offset);
  const int32_t* multiplier =
      sparsesep_section(weights, weights->multiplier_offset);
  const int8_t* shift = sparsesep_section(weights, weights->shift_offset);
  const uint16_t* counts = sparsesep_section(weights, weights->counts_offset);
  const int8_t* vector = input;
  int8_t* out = output;

  for (; batch > 0; --batch, vector += weights->cols) {
    const uint16_t* column = sparsesep_section(weights, weights->index_offset);
    const int8_t* value = sparsesep_section(weights, weights->value_offset);
    for (uint32_t row = 0; row < weights->rows; ++row) {
      // Unsigned, so that an accumulator which overflows wraps as in TFLite.
      uint32_t acc = (uint32_t)bias[row];
      for (uint32_t n = counts[row]; n > 0; n -= 4, column += 4, value += 4) {
        acc += (uint32_t)(value[0] * vector[column[0]]);
        acc += (uint32_t)(value[1] * vector[column[1]]);
        acc += (uint32_t)(value[2] * vector[column[2]]);
        acc += (uint32_t)(value[3] * vector[column[3]]);
      }
      *out++ = sparsesep_requantize_to_int8(
          acc, multiplier[row], shift[row], params->output_zero_point,
          params->activation_min, params->activation_max);
    }
  }
}
