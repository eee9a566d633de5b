#include "common/clamp_dsp.h"
#include "common/isa.h"
#include "sparse_fully_connected/dsp/four_vectors_dsp.h"
#include "sparsesep/compiler.h"

#if SPARSESEP_HAS_DSP_LAYOUTS

SPARSESEP_COLD
void sparsesep_run_four_vectors_dsp(const SparsesepPackedHeader* weights,
                                    const SparsesepFullyConnectedParams* params,
                                    const void* input, int32_t batch,
                                    void* output, void* scratch,
                                    SparsesepMultiplyDsp multiply,
                                    SparsesepMultiplyFourDsp multiply_four) {
  const SparsesepRows rows = sparsesep_rows(weights, params);
  const uint32_t row_count = weights->rows;
  const int8_t* x = input;
  int8_t* out = output;
  SparsesepVectorDsp vectors;
  vectors.weights = weights;
  vectors.acc_end = (uint32_t*)scratch + 4 * sparsesep_portion(row_count);

  for (; batch >= 4; batch -= 4) {
    vectors.value = sparsesep_section(weights, weights->value_offset);
    vectors.index = sparsesep_section(weights, weights->index_offset);
    vectors.counts = sparsesep_section(weights, weights->counts_offset);
    sparsesep_interleave_four_dsp(x, weights->cols,
                                  (uint32_t)params->input_step,
                                  (int16_t*)vectors.acc_end);
    for (uint32_t row = 0; row < row_count; row += SPARSESEP_ROW_PORTION) {
      const uint32_t count = sparsesep_portion(row_count - row);
      uint32_t* const acc = vectors.acc_end - 4 * count;
      vectors.acc = acc;
      multiply_four(&vectors);
      sparsesep_finish_four_dsp(&rows, row, count, acc, out + row, row_count);
    }
    sparsesep_clamp_dsp(&rows, out, out + 4 * row_count);
    x += 4 * params->input_step;
    out += 4 * row_count;
  }
  sparsesep_run_dsp(weights, params, x, batch, out, scratch, multiply);
}

#endif
