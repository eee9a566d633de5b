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

// Quantisation of one fully-connected layer outside the weights.
//
// int8:    real_input = input_scale * (input - input_zero_point)
//          output = clamp(requantise(acc) + output_zero_point)
//          Both zero points are the ones of the .tflite file, -128..127:
//          the input's is subtracted, the output's added.
// float32: zero points are 0; activation_min and activation_max hold the bits
//          of the float limits.
typedef struct SparsesepFullyConnectedParams {
  int32_t input_zero_point;
  int32_t output_zero_point;
  int32_t activation_min;
  int32_t activation_max;
} SparsesepFullyConnectedParams;

// output[batch][rows] = input[batch][cols] x weights^T + bias.
// `input` and `output` hold the blob's activation type (int8 for int8 and
// palette values, float for float values), no alignment beyond their type.
// `scratch` holds scratch_bytes() bytes, 16-byte aligned; NULL where that is 0.
typedef void (*SparsesepFullyConnectedKernel)(
    const SparsesepPackedHeader* weights,
    const SparsesepFullyConnectedParams* params, const void* input,
    int32_t batch, void* output, void* scratch);

typedef uint32_t (*SparsesepScratchQuery)(const SparsesepPackedHeader* weights,
                                          int32_t batch);

typedef struct SparsesepFullyConnectedVariant {
  const char* name;
  SparsesepFullyConnectedKernel run;
  SparsesepScratchQuery scratch_bytes;
  uint8_t value_type;
  uint8_t index_encoding;
  uint8_t major;
  uint8_t block_rows;
  uint8_t block_cols;
  uint8_t count_multiple;  // the blob's must be a multiple of this
  uint8_t value_order;
} SparsesepFullyConnectedVariant;

// The fastest variant of this build for a validated blob, or NULL.
const SparsesepFullyConnectedVariant* sparsesep_select_fully_connected(
    const SparsesepPackedHeader* weights);

// All variants of this build, fastest first; ends with a NULL name.
const SparsesepFullyConnectedVariant* sparsesep_fully_connected_variants(void);

#ifdef __cplusplus
}
#endif

#endif  // SPARSESEP_SPARSESEP_H_
