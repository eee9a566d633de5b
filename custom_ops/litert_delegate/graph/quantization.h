// From scales to the integers that TFLM computes with, in its arithmetic.
#ifndef SPARSESEP_DELEGATE_GRAPH_QUANTIZATION_H_
#define SPARSESEP_DELEGATE_GRAPH_QUANTIZATION_H_

#include "tflite_abi.h"

// real = multiplier / 2^31 * 2^shift, multiplier Q0.31 >= 0. `real` is finite
// and not negative; what is too small for a shift of -31 becomes 0.
void sparsesep_quantize_multiplier(double real, int32_t* multiplier,
                                   int32_t* shift);

// Checks that kernels can apply a factor between scales: finite, not negative,
// its shift at most 30.
bool sparsesep_is_multiplier(double real);

// Of a layer with weights: one multiplier and shift for each of `units`
// outputs.
void sparsesep_layer_multipliers(const TfLiteTensor* input,
                                 const TfLiteTensor* weights,
                                 const TfLiteTensor* output, int32_t units,
                                 int32_t* multiplier, int32_t* shift);

typedef struct SparsesepLimits {
  int32_t min;
  int32_t max;
} SparsesepLimits;

// Limits of an int8 output with a fused activation.
SparsesepLimits sparsesep_int8_limits(TfLiteFusedActivation activation,
                                      TfLiteQuantizationParams output);

typedef struct SparsesepFloatLimits {
  float min;
  float max;
} SparsesepFloatLimits;

SparsesepFloatLimits sparsesep_float_limits(TfLiteFusedActivation activation);

// With more inputs, all equal, the sum of exps of TFLM's int8 SOFTMAX leaves
// its range.
#define SPARSESEP_SOFTMAX_MAX_DEPTH 511

// What SOFTMAX adds up for an int8 input that is `i` below the row's largest:
// exp(-i * beta * scale) in Q0.31, 0 where TFLM leaves it out.
void sparsesep_softmax_table(double beta, double input_scale,
                             int32_t table[256]);

// What int8 functions of one variable give for input i - 128. Scales and zero
// points are the tensors'.
void sparsesep_logistic_table(TfLiteQuantizationParams input,
                              int8_t table[256]);
void sparsesep_relu_table(TfLiteQuantizationParams input,
                          TfLiteQuantizationParams output, int8_t table[256]);
void sparsesep_clamp_table(SparsesepLimits limits, int8_t table[256]);
void sparsesep_requantize_table(TfLiteQuantizationParams input,
                                TfLiteQuantizationParams output,
                                int8_t table[256]);

#endif  // SPARSESEP_DELEGATE_GRAPH_QUANTIZATION_H_
