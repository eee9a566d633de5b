// Operators without weights.
#include <math.h>

#include "graph/quantization.h"
#include "graph/supported.h"

// Checks the factors of int8 ADD and MUL: see opencl/operators/arithmetic.c.
static bool has_arithmetic_scales(const SparsesepOperation* operation, double a,
                                  double b, double output) {
  if (operation->kind == SPARSESEP_MUL) {
    return sparsesep_is_multiplier(a * b / output);
  }
  return sparsesep_is_multiplier(2.0 * fmax(a, b) /
                                 ((double)(1 << 20) * output));
}

// Takes two activations, or an activation and a constant.
bool sparsesep_supports_arithmetic(const TfLiteContext* context,
                                   const SparsesepOperation* operation) {
  const TfLiteTensor* a = sparsesep_input(context, operation, 0);
  const TfLiteTensor* b = sparsesep_input(context, operation, 1);
  const TfLiteTensor* output = sparsesep_output(context, operation);
  const TfLiteArithmeticParams* p = operation->parameters;
  return p != NULL && sparsesep_has_shape(a) && sparsesep_has_shape(b) &&
         !a->is_variable && !b->is_variable &&
         (!sparsesep_is_constant(a) || !sparsesep_is_constant(b)) &&
         sparsesep_is_number(a) && sparsesep_is_number(b) &&
         sparsesep_is_number(output) && a->type == b->type &&
         a->type == output->type && p->activation >= kTfLiteActNone &&
         p->activation <= kTfLiteActRelu6 &&
         (a->type != kTfLiteInt8 ||
          has_arithmetic_scales(operation, (double)a->params.scale,
                                (double)b->params.scale,
                                (double)output->params.scale));
}

// TFLM's int8 SOFTMAX aborts at this scale and below.
#define SOFTMAX_MIN_SCALE (1.0f / 67108864.0f)

static bool supports_softmax(const SparsesepOperation* operation,
                             const TfLiteTensor* input,
                             const TfLiteTensor* output) {
  const TfLiteSoftmaxParams* p = operation->parameters;
  if (p == NULL || input->type != output->type || !(p->beta > 0.0f)) {
    return false;
  }
  return input->type == kTfLiteFloat32 ||
         (p->beta * input->params.scale > SOFTMAX_MIN_SCALE &&
          input->dims->data[input->dims->size - 1] <=
              SPARSESEP_SOFTMAX_MAX_DEPTH &&
          output->params.zero_point == -128 &&
          output->params.scale == 1.0f / 256.0f);
}

bool sparsesep_supports_function(const TfLiteContext* context,
                                 const SparsesepOperation* operation) {
  const TfLiteTensor* input = sparsesep_input(context, operation, 0);
  const TfLiteTensor* output = sparsesep_output(context, operation);
  if (!sparsesep_is_activation(input) || !sparsesep_is_number(input) ||
      !sparsesep_is_number(output)) {
    return false;
  }
  switch (operation->kind) {
    case SPARSESEP_SOFTMAX:
      return supports_softmax(operation, input, output);
    case SPARSESEP_LOGISTIC:
      return input->type == output->type &&
             (input->type == kTfLiteFloat32 ||
              (output->params.zero_point == -128 &&
               output->params.scale == 1.0f / 256.0f));
    case SPARSESEP_RELU:
      return input->type == output->type &&
             (input->type == kTfLiteFloat32 ||
              sparsesep_is_multiplier(
                  (double)(input->params.scale / output->params.scale)));
    case SPARSESEP_QUANTIZE:
      return output->type == kTfLiteInt8 &&
             (input->type == kTfLiteFloat32 ||
              sparsesep_is_multiplier((double)input->params.scale /
                                      (double)output->params.scale));
    case SPARSESEP_DEQUANTIZE:
      return input->type == kTfLiteInt8 && output->type == kTfLiteFloat32;
    default:  // TFLM clamps in the input's scale
      return sparsesep_same_quantization(input, output);
  }
}

static bool supports_pad(const TfLiteContext* context,
                         const SparsesepOperation* operation,
                         const TfLiteTensor* input) {
  const TfLiteTensor* amounts = sparsesep_input(context, operation, 1);
  if (operation->inputs->size != 2 || !sparsesep_has_shape(amounts) ||
      !sparsesep_is_constant(amounts) || amounts->type != kTfLiteInt32 ||
      amounts->dims->size != 2 || amounts->dims->data[1] != 2 ||
      amounts->dims->data[0] != input->dims->size) {
    return false;
  }
  const int32_t* values = amounts->data;
  for (int i = 0; i < 2 * input->dims->size; ++i) {
    if (values[i] < 0 || values[i] > INT32_MAX / 64) return false;
  }
  return true;
}

static bool supports_concatenation(const TfLiteContext* context,
                                   const SparsesepOperation* operation,
                                   const TfLiteTensor* output) {
  const TfLiteConcatenationParams* p = operation->parameters;
  const int rank = output->dims->size;
  if (p == NULL || p->activation != kTfLiteActNone || p->axis < -rank ||
      p->axis >= rank) {
    return false;
  }
  for (int i = 0; i < operation->inputs->size; ++i) {
    const TfLiteTensor* input = sparsesep_input(context, operation, i);
    if (!sparsesep_is_activation(input) || input->dims->size != rank ||
        !sparsesep_same_quantization(input, output)) {
      return false;
    }
  }
  return true;
}

bool sparsesep_supports_movement(const TfLiteContext* context,
                                 const SparsesepOperation* operation) {
  const TfLiteTensor* input = sparsesep_input(context, operation, 0);
  const TfLiteTensor* output = sparsesep_output(context, operation);
  if (!sparsesep_is_activation(input) || !sparsesep_is_number(input) ||
      !sparsesep_same_quantization(input, output)) {
    return false;
  }
  if (operation->kind == SPARSESEP_PAD) {
    return supports_pad(context, operation, input);
  }
  if (operation->kind == SPARSESEP_CONCATENATION) {
    return supports_concatenation(context, operation, output);
  }
  const TfLiteTensor* shape = sparsesep_input(context, operation, 1);
  return shape == NULL || sparsesep_is_constant(shape);
}
