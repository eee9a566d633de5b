#include "common/isa.h"

#if SPARSESEP_HAS_X86

#include <string.h>

#include "sparse_fully_connected/runs_here.h"

// The operating system must save the registers, too: the builtin asks for both.
int sparsesep_runs_here(const SparsesepFullyConnectedVariant* variant) {
  const char* name = sparsesep_fully_connected_variant_name(variant);
  const char* isa = strrchr(name, '_');
  if (strcmp(isa, "_avx2") != 0) return 1;
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

#endif
