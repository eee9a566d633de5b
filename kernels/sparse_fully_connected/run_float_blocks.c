#include "common/float_limits.h"
#include "sparse_fully_connected/float_blocks.h"

// `vector`, or its copy in `scratch` followed by zeros where blocks reach
// past its end.
static const float* pad(const SparsesepPackedHeader* weights,
                        const float* vector, float* scratch) {
  const uint32_t cols = weights->cols;
  const uint32_t padded = sparsesep_padded_cols(weights);
  if (padded == cols) return vector;
  memcpy(scratch, vector, cols * sizeof(float));
  for (uint32_t i = cols; i < padded; ++i) scratch[i] = 0;
  return scratch;
}

void sparsesep_run_float_blocks(const SparsesepPackedHeader* weights,
                                const SparsesepFullyConnectedParams* params,
                                const void* input, int32_t batch, void* output,
                                void* scratch,
                                SparsesepMultiplyFloats multiply) {
  const float low = sparsesep_float_from_bits(params->activation_min);
  const float high = sparsesep_float_from_bits(params->activation_max);
  const float* bias = sparsesep_section(weights, weights->bias_offset);
  const uint16_t* counts = sparsesep_section(weights, weights->counts_offset);
  const uint32_t block_rows = weights->block_rows;
  const float* vector = input;
  float* out = output;

  for (; batch > 0; --batch, vector += params->input_step) {
    const float* padded = pad(weights, vector, scratch);
    SparsesepFloatStreams streams = {
        sparsesep_section(weights, weights->index_offset),
        sparsesep_section(weights, weights->value_offset)};
    for (uint32_t row = 0; row < weights->rows; row += block_rows) {
      float sums[4];
      multiply(&streams, counts[row / block_rows], padded, sums);
      for (uint32_t r = 0; r < block_rows && row + r < weights->rows; ++r) {
        *out++ = sparsesep_clamp_float(sums[r] + bias[row + r], low, high);
      }
    }
  }
}
