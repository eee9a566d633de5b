// Declarations of the kernels in variants.inc.
#ifndef SPARSESEP_FULLY_CONNECTED_VARIANTS_H_
#define SPARSESEP_FULLY_CONNECTED_VARIANTS_H_

#include "isa.h"
#include "sparsesep/sparsesep.h"

#define SPARSESEP_VARIANT(name, ...)                                  \
  void sparsesep_fully_connected_##name(                              \
      const SparsesepPackedHeader* weights,                           \
      const SparsesepFullyConnectedParams* params, const void* input, \
      int32_t batch, void* output, void* scratch);
#include "variants.inc"

#endif  // SPARSESEP_FULLY_CONNECTED_VARIANTS_H_
