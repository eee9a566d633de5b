#include "sparse_fully_connected/padded_vector.h"
#include "sparse_fully_connected/row_groups.h"
#include "sparsesep/compiler.h"

SPARSESEP_COLD
void sparsesep_run_row_groups(const SparsesepPackedHeader* weights,
                              const SparsesepFullyConnectedParams* params,
                              const void* input, int32_t batch, void* output,
                              void* scratch, SparsesepMultiplyGroups multiply) {
  const SparsesepRows rows = sparsesep_rows(weights, params);
  const uint32_t row_count = weights->rows;
  // 1, 2 or 4 rows a block: a shift, as Armv6-M has no division.
  const uint32_t shift = weights->block_rows >> 1;
  const int8_t* vector = input;
  int8_t* out = output;

  for (; batch > 0; --batch, vector += params->input_step) {
    const int8_t* padded = sparsesep_padded_vector(weights, vector, scratch);
    SparsesepRowStreams streams = {
        sparsesep_section(weights, weights->counts_offset),
        sparsesep_section(weights, weights->index_offset),
        sparsesep_section(weights, weights->value_offset), weights};
    for (uint32_t row = 0; row < row_count; row += SPARSESEP_ROW_PORTION) {
      uint32_t acc[SPARSESEP_ROW_PORTION];
      const uint32_t count = sparsesep_portion(row_count - row);
      const uint32_t groups = (count + weights->block_rows - 1) >> shift;
      multiply(&streams, padded, groups, acc);
      out = sparsesep_finish_rows(&rows, row, count, acc, out);
    }
  }
}
