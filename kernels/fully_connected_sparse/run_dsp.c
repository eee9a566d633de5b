#include "isa.h"

#if SPARSESEP_HAS_DSP

#include "padded_vector.h"
#include "rows.h"
#include "rows_dsp.h"

void sparsesep_run_dsp(const SparsesepPackedHeader* weights,
                       const SparsesepFullyConnectedParams* params,
                       const void* input, int32_t batch, void* output,
                       void* scratch, SparsesepMultiplyDsp multiply) {
  const SparsesepRows rows = sparsesep_rows(weights, params);
  const uint32_t last = weights->block_rows - 1u;
  const int8_t* x = input;
  int8_t* out = output;
  SparsesepVectorDsp vector = {
      sparsesep_section(weights, weights->value_offset),
      sparsesep_section(weights, weights->index_offset),
      sparsesep_section(weights, weights->counts_offset),
      scratch,
      (uint32_t*)scratch + ((weights->rows + last) & ~last),
      0,
      0,
      params->input_zero_point,
  };
  for (; batch > 0; --batch, x += weights->cols) {
    if (weights->major == SPARSESEP_MAJOR_COLUMN) {
      vector.x = sparsesep_padded_vector(weights, x, vector.acc_end);
      vector.x_end = (const int8_t*)vector.x + sparsesep_padded_cols(weights);
    } else if (weights->block_cols > 1) {
      sparsesep_widen_dsp(weights, x, vector.acc_end);
    } else {
      vector.x = x;
    }
    multiply(&vector);
    out = sparsesep_finish_rows(&rows, 0, weights->rows, vector.acc, out);
  }
}

#endif  // SPARSESEP_HAS_DSP
