// 4x1 blocks, uint8 tiles in windows, int8 values, rows of 16: any core.
#include "sparse_fully_connected/scalar/window8_scalar.h"
#include "sparse_fully_connected/variants.h"

void sparsesep_fully_connected_4x1_window8_int8_scalar(
    const SparsesepPackedHeader* weights,
    const SparsesepFullyConnectedParams* params, const void* input,
    int32_t batch, void* output, void* scratch) {
  (void)scratch;
  sparsesep_window8(weights, params, input, batch, output, 4, 1, 1);
}
