#include "common/isa.h"

#if SPARSESEP_HAS_X86

#include "sparse_fully_connected/avx2/wide_vector.h"
#include "sparse_fully_connected/avx2/x86.h"

// Widens one vector, followed by zeros up to a whole block.
SPARSESEP_AVX2
static void widen(const SparsesepPackedHeader* weights, const int8_t* vector,
                  int16_t* wide) {
  const uint32_t cols = weights->cols;
  uint32_t i = 0;
  for (; i + 16 <= cols; i += 16) {
    _mm256_storeu_si256((__m256i*)(wide + i),
                        sparsesep_sixteen_weights_avx2(vector + i));
  }
  for (; i < cols; ++i) wide[i] = vector[i];
  for (; i < sparsesep_padded_cols(weights) + 1; ++i) wide[i] = 0;
}

void sparsesep_run_avx2(const SparsesepPackedHeader* weights,
                        const SparsesepFullyConnectedParams* params,
                        const void* input, int32_t batch, void* output,
                        void* scratch, SparsesepMultiplyWide multiply) {
  const SparsesepRows rows = sparsesep_rows(weights, params);
  const uint32_t row_count = weights->rows;
  int16_t* const wide = (int16_t*)scratch + 1;
  const int8_t* vector = input;
  int8_t* out = output;
  wide[-1] = 0;

  for (; batch > 0; --batch, vector += params->input_step) {
    SparsesepRowStreams streams = {
        sparsesep_section(weights, weights->counts_offset),
        sparsesep_section(weights, weights->index_offset),
        sparsesep_section(weights, weights->value_offset), weights};
    widen(weights, vector, wide);
    for (uint32_t row = 0; row < row_count; row += SPARSESEP_ROW_PORTION) {
      uint32_t acc[SPARSESEP_ROW_PORTION];
      const uint32_t count = sparsesep_portion(row_count - row);
      const uint32_t groups =
          (count + weights->block_rows - 1) / weights->block_rows;
      multiply(&streams, wide, groups, acc);
      out = sparsesep_finish_rows_avx2(&rows, row, count, acc, out);
    }
  }
}

#endif  // SPARSESEP_HAS_X86
