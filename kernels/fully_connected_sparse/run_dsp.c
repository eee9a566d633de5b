#include "isa.h"
#include "rows.h"
#include "rows_dsp.h"

#if SPARSESEP_HAS_DSP

void sparsesep_run_dsp(const SparsesepPackedHeader* weights,
                       const SparsesepFullyConnectedParams* params,
                       const void* input, int32_t batch, void* output,
                       void* scratch, SparsesepMultiplyDsp multiply) {
  const SparsesepRows rows = sparsesep_rows(weights, params);
  const int is_wide =
      weights->block_cols > 1 && weights->major == SPARSESEP_MAJOR_ROW;
  uint32_t* const acc_end =
      (uint32_t*)scratch + sparsesep_dsp_rows_bytes(weights, batch) / 4;
  SparsesepVectorDsp vector = {
      sparsesep_section(weights, weights->value_offset),
      sparsesep_section(weights, weights->index_offset),
      sparsesep_section(weights, weights->counts_offset),
      scratch,
      acc_end,
      0,
      0,
      params->input_zero_point,
  };
  const int8_t* x = input;
  int8_t* out = output;

  for (; batch > 0; --batch, x += weights->cols) {
    if (is_wide) {
      sparsesep_widen_dsp(weights, x, acc_end);
    } else {
      vector.x = sparsesep_padded_vector(weights, x, acc_end);
      vector.x_end = vector.x + sparsesep_padded_cols(weights);
    }
    multiply(&vector);
    out = sparsesep_finish_rows(&rows, 0, weights->rows, scratch, out);
  }
}

#endif
