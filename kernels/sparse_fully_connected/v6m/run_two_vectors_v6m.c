#include "common/isa.h"
#include "sparse_fully_connected/v6m/two_vectors_v6m.h"

#if SPARSESEP_HAS_V6M

// Assembly knows the distance of a portion.
_Static_assert(4 * SPARSESEP_TWO_V6M_PORTION == 112, "sums of two vectors");

void sparsesep_run_whole_two_vectors_v6m(
    const SparsesepPackedHeader* weights,
    const SparsesepFullyConnectedParams* params, const void* input,
    int32_t batch, void* output, void* scratch,
    SparsesepMultiplyGroups multiply, SparsesepMultiplyTwoV6m multiply_two) {
  const SparsesepRows rows = sparsesep_rows(weights, params);
  const uint32_t row_count = weights->rows;
  const int8_t* x = input;
  int8_t* out = output;

  for (; batch >= 2; batch -= 2) {
    uint32_t acc[2][SPARSESEP_TWO_V6M_PORTION];
    SparsesepTwoV6m vectors;
    vectors.counts = sparsesep_section(weights, weights->counts_offset);
    vectors.index = sparsesep_section(weights, weights->index_offset);
    vectors.value = sparsesep_section(weights, weights->value_offset);
    vectors.first = x;
    vectors.second = x + params->input_step;
    vectors.acc = acc[0];
    for (uint32_t row = 0; row < row_count; row += SPARSESEP_TWO_V6M_PORTION) {
      uint32_t count = row_count - row;
      if (count > SPARSESEP_TWO_V6M_PORTION) count = SPARSESEP_TWO_V6M_PORTION;
      vectors.acc_end = acc[0] + count;
      multiply_two(&vectors);
      sparsesep_finish_rows(&rows, row, count, acc[0], out);
      sparsesep_finish_rows(&rows, row, count, acc[1], out + row_count);
      out += count;
    }
    out += row_count;
    x += 2 * params->input_step;
  }
  if (batch > 0) {
    sparsesep_run_row_groups(weights, params, x, batch, out, scratch, multiply);
  }
}

#endif
