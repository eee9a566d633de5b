// 1x4 blocks, uint8 steps, int8 values: any core.
#include "delta8_blocks.h"
#include "variants.h"

void sparsesep_fully_connected_1x4_delta8_int8_scalar(
    const SparsesepPackedHeader* weights,
    const SparsesepFullyConnectedParams* params, const void* input,
    int32_t batch, void* output, void* scratch) {
  sparsesep_delta8_blocks(weights, params, input, batch, output, scratch, 1, 4);
}
