// Converts scales to integers in TFLM's arithmetic.
#ifndef SPARSESEP_DELEGATE_GRAPH_QUANTIZATION_H_
#define SPARSESEP_DELEGATE_GRAPH_QUANTIZATION_H_

#include "tflite_abi.h"

// real = multiplier / 2^31 * 2^shift, multiplier Q0.31 >= 0. `real` is
// finite and not negative; a value too small for a shift of -31 becomes 0.
void sparsesep_quantize_multiplier(double real, int32_t* multiplier,
                                   int32_t* shift);

// Checks that kernels can apply a factor between scales: finite, not negative,
// its shift at most 30.
bool sparsesep_is_multiplier(double real);

// Computes a multiplier and shift for each of `units` outputs of a layer.
void sparsesep_layer_multipliers(const TfLiteTensor* input,
                                 const TfLiteTensor* weights,
                                 const TfLiteTensor* output, int32_t units,
                                 int32_t* multiplier, int32_t* shift);

typedef struct SparsesepLimits {
  int32_t min;
  int32_t max;
} SparsesepLimits;

// Returns the limits of an int8 output with a fused activation.
SparsesepLimits sparsesep_int8_limits(TfLiteFusedActivation activation,
                                      TfLiteQuantizationParams output);

typedef struct SparsesepFloatLimits {
  float min;
  float max;
} SparsesepFloatLimits;

SparsesepFloatLimits sparsesep_float_limits(TfLiteFusedActivation activation);

// The sum of exponentials in TFLM's int8 SOFTMAX overflows for more equal
// inputs.
#define SPARSESEP_SOFTMAX_MAX_DEPTH 511

// Computes exp(-i * beta * scale) in Q0.31 for inputs that are i below the
// row's maximum, 0 where TFLM leaves them out.
void sparsesep_softmax_table(double beta, double input_scale,
                             int32_t table[256]);

// Compute a function of one int8 variable for inputs i - 128.
void sparsesep_logistic_table(TfLiteQuantizationParams input,
                              int8_t table[256]);
void sparsesep_relu_table(TfLiteQuantizationParams input,
                          TfLiteQuantizationParams output, int8_t table[256]);
void sparsesep_clamp_table(SparsesepLimits limits, int8_t table[256]);
void sparsesep_requantize_table(TfLiteQuantizationParams input,
                                TfLiteQuantizationParams output,
                                int8_t table[256]);

#endif  // SPARSESEP_DELEGATE_GRAPH_QUANTIZATION_H_
