// Dense float32 layers as TFLM's reference kernels compute them, reduced to
// plain loops: what a kernel looks up once per call or computes again for each
// element is left out. TFLM's own fully-connected layer of 784 -> 300 takes
// 1,181,461 instructions on a Cortex-M4 and 21,216,073 on a Cortex-M3.
//
// float_layers.h is generated: the rows of `layers`.
#include <stdint.h>

#include "measured_call.h"

typedef struct Layer {
  // Of the input; a fully-connected layer is a 1x1 convolution on 1x1.
  int32_t height, width, channels;
  // Of the kernels, without padding and with stride 1.
  int32_t kernel_height, kernel_width, units;
} Layer;

static const Layer layers[] = {
#include "float_layers.h"
};

#define MAX_VALUES (1 << 19)

static float weights[MAX_VALUES], inputs[MAX_VALUES / 16],
    outputs[MAX_VALUES / 16];

static float convolve_at(const Layer* layer, const float* corner,
                         const float* kernel) {
  float sum = 0.0f;
  const int32_t run = layer->kernel_width * layer->channels;
  for (int32_t y = 0; y < layer->kernel_height; ++y) {
    const float* row = corner + y * layer->width * layer->channels;
    for (int32_t i = 0; i < run; ++i) sum += row[i] * kernel[i];
    kernel += run;
  }
  return sum;
}

static SparsesepStatus convolve(const SparsesepHost* host, const void* data) {
  (void)host;
  const Layer* layer = data;
  const int32_t size =
      layer->kernel_height * layer->kernel_width * layer->channels;
  float* output = outputs;
  for (int32_t y = 0; y + layer->kernel_height <= layer->height; ++y) {
    for (int32_t x = 0; x + layer->kernel_width <= layer->width; ++x) {
      const float* corner = inputs + (y * layer->width + x) * layer->channels;
      for (int32_t unit = 0; unit < layer->units; ++unit) {
        const float sum = convolve_at(layer, corner, weights + unit * size);
        *output++ = sum > 0.0f ? sum : 0.0f;
      }
    }
  }
  return SPARSESEP_OK;
}

// Numbers within 1 of 0 and, as behind a ReLU, half of the inputs zeros:
// without an FPU the time of a product depends on them.
static void fill(void) {
  uint32_t state = 1;
  for (int32_t i = 0; i < MAX_VALUES; ++i) {
    state = state * 1664525u + 1013904223u;
    const float value = (float)(int32_t)state * 0x1p-31f;
    weights[i] = value;
    if (i < MAX_VALUES / 16) inputs[i] = value > 0.0f ? value : 0.0f;
  }
}

int main(void) {
  fill();
  for (uint32_t i = 0; i < sizeof(layers) / sizeof(layers[0]); ++i) {
    measured_call(convolve, 0, &layers[i]);
  }
  return 0;
}
