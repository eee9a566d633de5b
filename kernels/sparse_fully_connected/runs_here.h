// Tests whether this processor runs a variant.
#ifndef SPARSESEP_SPARSE_FULLY_CONNECTED_RUNS_HERE_H_
#define SPARSESEP_SPARSE_FULLY_CONNECTED_RUNS_HERE_H_

#include "sparse_fully_connected/variants.h"

#if SPARSESEP_HAS_X86
// Asks the processor for the ISA that the variant's name ends on.
int sparsesep_runs_here(const SparsesepFullyConnectedVariant* variant);
#else
// A build for any other ISA runs on processors that have all of it.
static inline int sparsesep_runs_here(
    const SparsesepFullyConnectedVariant* variant) {
  (void)variant;
  return 1;
}
#endif

#endif  // SPARSESEP_SPARSE_FULLY_CONNECTED_RUNS_HERE_H_
