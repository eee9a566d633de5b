#include "sparse_fully_connected/v7m/run_four_vectors_v7m.h"
#include "sparsesep/compiler.h"

#if SPARSESEP_HAS_FOUR_V7M

SPARSESEP_COLD
void sparsesep_run_whole_four_vectors_v7m(
    const SparsesepPackedHeader* weights,
    const SparsesepFullyConnectedParams* params, const void* input,
    int32_t batch, void* output, void* scratch,
    SparsesepMultiplyGroups multiply, SparsesepMultiplyFourV7m multiply_four) {
  const SparsesepRows rows = sparsesep_rows(weights, params);
  const uint32_t row_count = weights->rows;
  const int8_t* x = input;
  int8_t* out = output;
  SparsesepFourV7m vectors;
  vectors.step = (uint32_t)params->input_step;

  for (; batch >= 4; batch -= 4) {
    vectors.value = sparsesep_section(weights, weights->value_offset);
    vectors.index = sparsesep_section(weights, weights->index_offset);
    vectors.counts = sparsesep_section(weights, weights->counts_offset);
    vectors.x = x;
    for (uint32_t row = 0; row < row_count; row += SPARSESEP_FOUR_ROWS_V7M) {
      const uint32_t count = sparsesep_four_portion_v7m(row_count - row);
      vectors.acc = scratch;
      vectors.acc_end = vectors.acc + 4 * count;
      multiply_four(&vectors);
      sparsesep_finish_four_v7m(&rows, row, count, scratch, out + row,
                                row_count);
    }
    x += 4 * params->input_step;
    out += 4 * row_count;
  }
  if (batch > 0) {
    sparsesep_run_row_groups(weights, params, x, batch, out, scratch, multiply);
  }
}

#endif
