// What operators share whose blob says everything about a convolution:
// custom_options hold nothing that they read.
//
// input [batch, height, width, channels] int8 or float32; output the same with
// its own height, width and channels.
#ifndef SPARSESEP_CONV_OP_H_
#define SPARSESEP_CONV_OP_H_

#include "port.h"
#include "sparsesep/conv_shape.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct SparsesepConvOp {
  SparsesepConvShape shape;
  SparsesepStatus init_status;  // Init cannot fail in TFLM: Prepare reports it
  const void* blob;             // constant: found once, by prepare
  const void* variant;          // the operator's own type
  int scratch_index;            // -1 without scratch
} SparsesepConvOp;

// What a blob asks of the tensors.
typedef struct SparsesepConvTensors {
  uint32_t input_channels;
  uint32_t output_channels;
  int is_float;
  int has_residual;  // a second activation tensor like the output
} SparsesepConvTensors;

// What an operator adds. The last three get a blob that passed `validate`.
typedef struct SparsesepConvKind {
  const char* name;
  SparsesepStatus (*validate)(const void* blob, size_t bytes);
  // Fills in `tensors`, which come without a residual, and completes a shape
  // whose batch, input_height and input_width are set.
  SparsesepStatus (*describe)(const void* blob, SparsesepConvShape* shape,
                              SparsesepConvTensors* tensors);
  // The kernel, or NULL.
  const void* (*select)(const void* blob);
  uint64_t (*scratch_bytes)(const void* blob, const SparsesepConvShape* shape,
                            const void* variant);
} SparsesepConvKind;

// Allocates the operator's data. NULL where the host has no memory left;
// options that are not those of op_options.h are reported by prepare.
void* sparsesep_conv_init(const SparsesepHost* host, const void* options,
                          size_t options_bytes);

// Validates everything: blob, tensor types and shapes.
SparsesepStatus sparsesep_conv_prepare(const SparsesepHost* host, void* op_data,
                                       const SparsesepConvKind* kind);

#ifdef __cplusplus
}
#endif

#endif  // SPARSESEP_CONV_OP_H_
