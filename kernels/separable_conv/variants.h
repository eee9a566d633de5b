// Declarations of this build's kernels.
#ifndef SPARSESEP_SEPARABLE_CONV_VARIANTS_H_
#define SPARSESEP_SEPARABLE_CONV_VARIANTS_H_

#include "common/isa.h"
#include "sparsesep/separable_conv.h"

#define SPARSESEP_SEPARABLE_VARIANT(name, ...)                             \
  void sparsesep_separable_conv_##name(                                    \
      const SparsesepSeparableConv* conv, const SparsesepConvShape* shape, \
      const void* input, void* output, void* scratch);
#include "variants/variants_here.inc"

// All of them, fastest first.
extern const SparsesepSeparableConvVariant sparsesep_separable_conv_variants[];

#endif  // SPARSESEP_SEPARABLE_CONV_VARIANTS_H_
