// 1x16 blocks, uint8 steps, int8 values: any core.
#include "sparse_fully_connected/scalar/delta8_blocks.h"
#include "sparse_fully_connected/variants.h"

static void multiply(SparsesepRowStreams* streams, const int8_t* vector,
                     uint32_t groups, uint32_t* acc) {
  sparsesep_multiply_delta8_blocks(streams, vector, groups, acc, 1, 16);
}

void sparsesep_fully_connected_1x16_delta8_int8_scalar(
    const SparsesepPackedHeader* weights,
    const SparsesepFullyConnectedParams* params, const void* input,
    int32_t batch, void* output, void* scratch) {
  sparsesep_run_row_groups(weights, params, input, batch, output, scratch,
                           multiply);
}
