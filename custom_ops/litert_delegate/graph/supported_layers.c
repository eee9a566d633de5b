// Layers with weights.
#include "graph/quantization.h"
#include "graph/supported.h"
#include "graph/window.h"

// Checks how many tensors an operator reads: a SPARSE_CONV_2D may add a third.
static bool has_blob_inputs(const TfLiteContext* context,
                            const SparsesepOperation* operation) {
  if (operation->inputs->size == 2) return true;
  return operation->kind == SPARSESEP_SPARSE_CONV_2D &&
         operation->inputs->size == 3 &&
         sparsesep_is_activation(sparsesep_input(context, operation, 2));
}

// Claims damaged blobs and tensors that do not fit them as well: preparing the
// layer then reports what is wrong, which a runtime without the operator
// cannot.
bool sparsesep_supports_blob_layer(const TfLiteContext* context,
                                   const SparsesepOperation* operation) {
  const TfLiteTensor* input = sparsesep_input(context, operation, 0);
  const TfLiteTensor* blob = sparsesep_input(context, operation, 1);
  return has_blob_inputs(context, operation) &&
         sparsesep_is_activation(input) && blob != NULL &&
         sparsesep_is_constant(blob) && blob->dims != NULL;
}

// Checks an int8 layer for symmetric weights with one scale, or one for each of
// `units`, and multipliers in range.
static bool has_weight_scales(const TfLiteTensor* input,
                              const TfLiteTensor* weights,
                              const TfLiteTensor* output, int units,
                              int dimension) {
  const TfLiteAffineQuantizationStruct* affine = weights->quantization.params;
  if (weights->quantization.type != kTfLiteAffineQuantization ||
      affine == NULL || affine->scale == NULL || affine->zero_point == NULL) {
    return false;
  }
  for (int i = 0; i < affine->zero_point->size; ++i) {
    if (affine->zero_point->data[i] != 0) return false;
  }
  if (affine->scale->size != 1 && (affine->scale->size != units ||
                                   affine->quantized_dimension != dimension)) {
    return false;
  }
  for (int i = 0; i < affine->scale->size; ++i) {
    const double product =
        (double)input->params.scale * (double)affine->scale->data[i];
    if (!sparsesep_is_multiplier(product / (double)output->params.scale)) {
      return false;
    }
  }
  return true;
}

static bool is_known_activation(TfLiteFusedActivation activation) {
  return activation == kTfLiteActNone || activation == kTfLiteActRelu ||
         activation == kTfLiteActReluN1To1 || activation == kTfLiteActRelu6;
}

static bool is_known_window(const SparsesepWindow* window) {
  for (int i = 0; i < 2; ++i) {
    if (window->kernel[i] < 1 || window->stride[i] < 1 ||
        window->dilation[i] < 1) {
      return false;
    }
  }
  return is_known_activation(window->activation) &&
         (window->padding == kTfLitePaddingSame ||
          window->padding == kTfLitePaddingValid);
}

// Checks parameters and shapes; sets the dimension of the weights that
// counts units.
static bool fits_shapes(const SparsesepOperation* operation,
                        const TfLiteTensor* input, const TfLiteTensor* weights,
                        int* dimension) {
  const int* dims = weights->dims->data;
  *dimension = 0;
  if (operation->kind == SPARSESEP_FULLY_CONNECTED) {
    const TfLiteFullyConnectedParams* p = operation->parameters;
    return weights->dims->size == 2 && p->weights_format == 0 &&
           is_known_activation(p->activation);
  }
  if (weights->dims->size != 4 || input->dims->size != 4) return false;
  const SparsesepWindow window = sparsesep_read_window(operation, dims);
  if (!is_known_window(&window)) return false;
  if (operation->kind == SPARSESEP_CONV_2D) {
    return dims[3] == input->dims->data[3];
  }
  *dimension = 3;
  return dims[0] == 1 && dims[3] % input->dims->data[3] == 0;
}

bool sparsesep_supports_dense_layer(const TfLiteContext* context,
                                    const SparsesepOperation* operation) {
  const TfLiteTensor* input = sparsesep_input(context, operation, 0);
  const TfLiteTensor* weights = sparsesep_input(context, operation, 1);
  const TfLiteTensor* bias = sparsesep_input(context, operation, 2);
  const TfLiteTensor* output = sparsesep_output(context, operation);
  int dimension = 0;
  if (!sparsesep_is_activation(input) || !sparsesep_is_number(input) ||
      !sparsesep_has_shape(weights) || !sparsesep_is_constant(weights) ||
      weights->type != input->type || output->type != input->type ||
      !sparsesep_is_number(output) || operation->parameters == NULL ||
      !fits_shapes(operation, input, weights, &dimension)) {
    return false;
  }
  const int units = weights->dims->data[dimension];
  if (bias != NULL) {
    const TfLiteType type =
        input->type == kTfLiteInt8 ? kTfLiteInt32 : kTfLiteFloat32;
    if (!sparsesep_has_shape(bias) || !sparsesep_is_constant(bias) ||
        bias->type != type || bias->dims->size != 1 ||
        bias->dims->data[0] != units) {
      return false;
    }
  }
  return input->type != kTfLiteInt8 ||
         has_weight_scales(input, weights, output, units, dimension);
}

bool sparsesep_supports_pool(const TfLiteContext* context,
                             const SparsesepOperation* operation) {
  const TfLiteTensor* input = sparsesep_input(context, operation, 0);
  const TfLiteTensor* output = sparsesep_output(context, operation);
  if (!sparsesep_is_activation(input) || !sparsesep_is_number(input) ||
      !sparsesep_same_quantization(input, output) ||
      operation->parameters == NULL || input->dims->size != 4) {
    return false;
  }
  const SparsesepWindow window = sparsesep_read_window(operation, NULL);
  return is_known_window(&window);
}
