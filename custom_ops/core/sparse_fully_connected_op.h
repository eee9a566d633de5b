// SPARSE_FULLY_CONNECTED(input, blob) -> output, independent of the runtime.
//
// input [..., cols] int8 or float32; output [..., rows] of the same type; the
// leading dimensions are a batch. With a step in the options the vectors are
// windows of all elements of the input, in their order: convolutions along one
// axis.
#ifndef SPARSESEP_SPARSE_FULLY_CONNECTED_OP_H_
#define SPARSESEP_SPARSE_FULLY_CONNECTED_OP_H_

#include "op_options.h"
#include "port.h"
#include "sparsesep/sparsesep.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct SparsesepFullyConnectedOp {
  SparsesepFullyConnectedParams params;
  SparsesepStatus init_status;  // Init cannot fail in TFLM: Prepare reports it
  int32_t batch;
  const SparsesepPackedHeader* weights;  // constant: found once, by prepare
  const SparsesepFullyConnectedVariant* variant;
  int scratch_index;  // -1 without scratch
} SparsesepFullyConnectedOp;

// Allocates the operator's data and reads its custom_options. NULL where the
// host has no memory left; bad options are reported by prepare.
void* sparsesep_fully_connected_init(const SparsesepHost* host,
                                     const void* options, size_t options_bytes);

// Validates everything: options, blob, tensor types and shapes.
SparsesepStatus sparsesep_fully_connected_prepare(const SparsesepHost* host,
                                                  void* op_data);

// Runs the layer. Trusts what prepare has accepted.
SparsesepStatus sparsesep_fully_connected_eval(const SparsesepHost* host,
                                               const void* op_data);

#ifdef __cplusplus
}
#endif

#endif  // SPARSESEP_SPARSE_FULLY_CONNECTED_OP_H_
