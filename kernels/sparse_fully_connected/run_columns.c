#include <string.h>

#include "sparse_fully_connected/columns.h"
#include "sparsesep/compiler.h"

SPARSESEP_COLD
void sparsesep_run_columns(const SparsesepPackedHeader* weights,
                           const SparsesepFullyConnectedParams* params,
                           const void* input, int32_t batch, void* output,
                           void* scratch, SparsesepMultiplyColumns multiply) {
  const SparsesepRows rows = sparsesep_rows(weights, params);
  const SparsesepColumnStreams streams = {
      sparsesep_section(weights, weights->counts_offset),
      sparsesep_section(weights, weights->index_offset),
      sparsesep_section(weights, weights->value_offset)};
  const uint32_t bytes = sparsesep_column_accumulator_bytes(weights, batch);
  const int8_t* vector = input;
  int8_t* out = output;

  for (; batch > 0; --batch, vector += params->input_step) {
    memset(scratch, 0, bytes);
    multiply(&streams, vector, weights->cols, params->input_zero_point,
             scratch);
    out = sparsesep_finish_rows(&rows, 0, weights->rows, scratch, out);
  }
}
