// Integer parameters of a FULLY_CONNECTED or convolution, for all backends.
#ifndef SPARSESEP_DELEGATE_GRAPH_DENSE_LAYER_H_
#define SPARSESEP_DELEGATE_GRAPH_DENSE_LAYER_H_

#include "graph/operation.h"
#include "graph/quantization.h"

// Per output unit, in one block of memory from malloc.
typedef struct SparsesepInt8Layer {
  int32_t* bias;  // zeros if the model has none
  int32_t* multiplier;
  int32_t* shift;
  int32_t input_zero_point;
  int32_t output_zero_point;
  SparsesepLimits limits;
} SparsesepInt8Layer;

// False if memory runs out. free(layer->bias) frees all arrays.
bool sparsesep_read_int8_layer(const TfLiteContext* context,
                               const SparsesepOperation* operation,
                               int32_t units, TfLiteFusedActivation activation,
                               SparsesepInt8Layer* layer);

// Subtracts input_zero_point * sum of a unit's weights from its bias, so
// that kernels need no zero point. `weights`: [units][cols].
void sparsesep_fold_zero_point(const SparsesepInt8Layer* layer,
                               const int8_t* weights, int64_t units,
                               int64_t cols);

#endif  // SPARSESEP_DELEGATE_GRAPH_DENSE_LAYER_H_
