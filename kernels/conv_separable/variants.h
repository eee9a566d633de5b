// Declarations of the kernels in variants.inc.
#ifndef SPARSESEP_CONV_SEPARABLE_VARIANTS_H_
#define SPARSESEP_CONV_SEPARABLE_VARIANTS_H_

#include "../fully_connected_sparse/isa.h"
#include "sparsesep/separable_conv.h"

#define SPARSESEP_SEPARABLE_VARIANT(name, ...)                             \
  void sparsesep_conv_separable_##name(                                    \
      const SparsesepSeparableConv* conv, const SparsesepConvShape* shape, \
      const void* input, void* output, void* scratch);
#include "variants.inc"

#endif  // SPARSESEP_CONV_SEPARABLE_VARIANTS_H_
