// Scratch of the float32 kernel.
#ifndef SPARSESEP_SEPARABLE_CONV_FLOAT_ROW_H_
#define SPARSESEP_SEPARABLE_CONV_FLOAT_ROW_H_

#include "separable_conv/stage.h"

// Scratch query: one row of the intermediate feature map, padding included.
static inline uint64_t sparsesep_separable_float_scratch_bytes(
    const SparsesepSeparableConv* conv, const SparsesepConvShape* shape) {
  return (uint64_t)sparsesep_row_columns(conv, shape) * conv->middle_channels *
         sizeof(float);
}

#endif  // SPARSESEP_SEPARABLE_CONV_FLOAT_ROW_H_
