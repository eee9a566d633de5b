#include "common/isa.h"
#include "sparse_fully_connected/dsp/rows_dsp.h"
#include "sparse_fully_connected/variants.h"

#if SPARSESEP_HAS_DSP

void sparsesep_run_dsp(const SparsesepPackedHeader* weights,
                       const SparsesepFullyConnectedParams* params,
                       const void* input, int32_t batch, void* output,
                       void* scratch, SparsesepMultiplyDsp multiply) {
  const SparsesepRows rows = sparsesep_rows(weights, params);
  const uint32_t portion = sparsesep_dsp_portion(weights);
  const int is_wide = SPARSESEP_LINKED_COLS > 1 && weights->block_cols > 1;
  const uint32_t row_count = weights->rows;
  const uint32_t last = weights->block_rows - 1u;
  const int8_t* const value = sparsesep_section(weights, weights->value_offset);
  const uint8_t* const index =
      sparsesep_section(weights, weights->index_offset);
  const uint16_t* const counts =
      sparsesep_section(weights, weights->counts_offset);
  const int8_t* x = input;
  int8_t* out = output;
  SparsesepVectorDsp vector;
  uint32_t* const wide =
      (uint32_t*)scratch + sparsesep_dsp_accumulators(weights, portion);
  vector.acc_end = wide;
  vector.input_zero_point = params->input_zero_point;

  for (; batch > 0; --batch, x += params->input_step) {
    if (is_wide) {
      sparsesep_widen_dsp(weights, x, wide);
    } else {
      vector.x = x;
      vector.x_end = x + weights->cols;
    }
    vector.value = value;
    vector.index = index;
    vector.counts = counts;
    uint32_t left = row_count;
    do {
      const uint32_t count = left < portion ? left : portion;
      // A last, shorter portion ends where the others do.
      uint32_t* const acc = vector.acc_end - ((count + last) & ~last);
      vector.acc = acc;
      multiply(&vector);
      out = sparsesep_finish_rows(&rows, row_count - left, count, acc, out);
      left -= count;
    } while (left > 0);
  }
}

#endif
