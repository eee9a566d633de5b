// 1x16 blocks, uint8 steps, float32 values: any core.
#include "sparse_fully_connected/float_blocks.h"
#include "sparse_fully_connected/variants.h"

static void multiply(SparsesepFloatStreams* streams, uint32_t count,
                     const float* vector, float* sums) {
  sparsesep_multiply_float_blocks(streams, count, vector, sums, 1, 16);
}

void sparsesep_fully_connected_1x16_delta8_float32_scalar(
    const SparsesepPackedHeader* weights,
    const SparsesepFullyConnectedParams* params, const void* input,
    int32_t batch, void* output, void* scratch) {
  sparsesep_run_float_blocks(weights, params, input, batch, output, scratch,
                             multiply);
}
