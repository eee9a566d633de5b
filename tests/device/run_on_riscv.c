// Runs the layers that layers.h holds, and prints each output in hexadecimal,
// one line for each layer.
#include <stdio.h>

#include "layers.h"
#include "run_fully_connected.h"

int main(void) {
  for (size_t i = 0; i < sizeof(layers) / sizeof(layers[0]); ++i) {
    const Layer* layer = &layers[i];
    static uint8_t output[4096];
    const SparsesepStatus status = run_fully_connected(
        layer->options, layer->options_bytes, layer->blob, layer->blob_bytes, 0,
        layer->input, layer->elements, output, layer->rows, layer->batch, NULL);
    if (status != SPARSESEP_OK) return 1;
    for (int32_t n = 0; n < layer->rows * layer->batch; ++n) {
      printf("%02x", output[n]);
    }
    printf("\n");
  }
  return 0;
}
