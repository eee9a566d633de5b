// The kernels of sparsesep: arithmetic on packed weights, no framework.
//
// Call order: sparsesep_validate_packed_weights() once per model, then
// sparsesep_select_fully_connected(), then the variant's `run` per inference.
#ifndef SPARSESEP_SPARSESEP_H_
#define SPARSESEP_SPARSESEP_H_

#include <stdint.h>

#include "sparsesep/packed_weights.h"
#include "sparsesep/status.h"

#ifdef __cplusplus
extern "C" {
#endif

// Quantization of one fully-connected layer outside the weights.
//
// int8:    real_input = input_scale * (input - input_zero_point)
//          output = clamp(requantize(acc) + output_zero_point)
//          Both zero points are the ones of the .tflite file, -128..127:
//          the input's is subtracted, the output's added.
// float32: zero points are 0; activation_min and activation_max hold the bits
//          of the float limits.
typedef struct SparsesepFullyConnectedParams {
  int32_t input_zero_point;
  int32_t output_zero_point;
  int32_t activation_min;
  int32_t activation_max;
  // Elements from one input vector to the next: the weights' cols where they
  // lie side by side, less where they are windows that overlap. Not negative.
  int32_t input_step;
} SparsesepFullyConnectedParams;

// Whether these are legal parameters of an int8 layer.
int sparsesep_are_int8(const SparsesepFullyConnectedParams* params);

// output[n][rows] = input[n * input_step ...][cols] x weights^T + bias, for
// `batch` vectors n.
// `input` and `output` hold the blob's activation type (int8 for int8 and
// palette values, float for float values), no alignment beyond their type.
// `scratch` holds scratch_bytes() bytes; NULL where that is 0. The caller
// aligns it to 16 bytes, since kernels put words and vectors there: the op core
// passes what SparsesepHost.get_scratch() returns. Kernels read nothing outside
// the blob, the input vectors and `scratch`. Those that load more than they
// use, such as the byte after palette codes or inputs around a widened vector,
// find it in the blob or in `scratch`.
typedef void (*SparsesepFullyConnectedKernel)(
    const SparsesepPackedHeader* weights,
    const SparsesepFullyConnectedParams* params, const void* input,
    int32_t batch, void* output, void* scratch);

typedef uint32_t (*SparsesepScratchQuery)(const SparsesepPackedHeader* weights,
                                          int32_t batch);

// A kernel and the layout that it runs.
typedef struct SparsesepFullyConnectedVariant {
  SparsesepFullyConnectedKernel run;
  SparsesepScratchQuery scratch_bytes;
  // As in SparsesepPackedHeader.
  uint8_t value_type;
  uint8_t index_encoding;
  uint8_t major;
  uint8_t block_rows;
  uint8_t block_cols;
  uint8_t count_multiple;  // the blob's must be a multiple of this
  uint8_t value_order;
} SparsesepFullyConnectedVariant;

// The fastest variant of this build for the layout in a header, or NULL.
const SparsesepFullyConnectedVariant* sparsesep_select_fully_connected(
    const SparsesepPackedHeader* weights);

// The name of a variant that was selected, such as "4x4_delta8_int8_v7m". For
// tools: an image that never asks carries no names.
const char* sparsesep_fully_connected_variant_name(
    const SparsesepFullyConnectedVariant* variant);

#ifdef __cplusplus
}
#endif

#endif  // SPARSESEP_SPARSESEP_H_
