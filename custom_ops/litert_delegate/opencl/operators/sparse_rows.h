// Sparse weights times vectors on OpenCL: the kernels of
// SPARSE_FULLY_CONNECTED, for whoever has its vectors in a buffer.
#ifndef SPARSESEP_DELEGATE_OPENCL_OPERATORS_SPARSE_ROWS_H_
#define SPARSESEP_DELEGATE_OPENCL_OPERATORS_SPARSE_ROWS_H_

#include "opencl/operation.h"
#include "opencl/unpack_tiles.h"
#include "sparsesep/sparsesep.h"

// Vectors in lines: `width` of them begin params->input_step elements apart,
// the next line `pitch` elements after this one.
typedef struct SparsesepVectors {
  cl_mem input;
  int32_t batch;
  int32_t width;
  int32_t pitch;
  const SparsesepFullyConnectedParams* params;
} SparsesepVectors;

// Adds the kernel that writes the node's output.
void sparsesep_add_sparse_rows(const SparsesepOpenclNode* node,
                               const SparsesepPackedHeader* h,
                               const SparsesepVectors* vectors);

#endif  // SPARSESEP_DELEGATE_OPENCL_OPERATORS_SPARSE_ROWS_H_
