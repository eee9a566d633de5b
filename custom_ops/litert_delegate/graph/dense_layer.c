#include "graph/dense_layer.h"

#include <stdlib.h>
#include <string.h>

bool sparsesep_read_int8_layer(const TfLiteContext* context,
                               const SparsesepOperation* operation,
                               int32_t units, TfLiteFusedActivation activation,
                               SparsesepInt8Layer* layer) {
  const TfLiteTensor* input =
      sparsesep_tensor_of(context, operation->inputs, 0);
  const TfLiteTensor* weights =
      sparsesep_tensor_of(context, operation->inputs, 1);
  const TfLiteTensor* bias = sparsesep_tensor_of(context, operation->inputs, 2);
  const TfLiteTensor* output =
      sparsesep_tensor_of(context, operation->outputs, 0);
  if (input == NULL || weights == NULL || output == NULL) return false;
  layer->bias = calloc(3 * (size_t)units, sizeof(int32_t));
  if (layer->bias == NULL) return false;
  layer->multiplier = layer->bias + units;
  layer->shift = layer->multiplier + units;
  if (bias != NULL) {
    memcpy(layer->bias, bias->data, (size_t)units * sizeof(int32_t));
  }
  sparsesep_layer_multipliers(input, weights, output, units, layer->multiplier,
                              layer->shift);
  layer->input_zero_point = input->params.zero_point;
  layer->output_zero_point = output->params.zero_point;
  layer->limits = sparsesep_int8_limits(activation, output->params);
  return true;
}

// Unsigned: an accumulator that overflows wraps, as in TFLite.
void sparsesep_fold_zero_point(const SparsesepInt8Layer* layer,
                               const int8_t* weights, int64_t units,
                               int64_t cols) {
  const uint32_t zero_point = (uint32_t)layer->input_zero_point;
  for (int64_t unit = 0; unit < units; ++unit) {
    int64_t sum = 0;
    for (int64_t col = 0; col < cols; ++col) sum += weights[unit * cols + col];
    layer->bias[unit] =
        (int32_t)((uint32_t)layer->bias[unit] - zero_point * (uint32_t)sum);
  }
}
