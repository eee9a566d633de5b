#include "common/isa.h"

#if SPARSESEP_HAS_X86

#include <string.h>

#include "sparse_fully_connected/runs_here.h"

// The operating system must save the registers, too: the builtin asks for both.
int sparsesep_runs_here(const SparsesepFullyConnectedVariant* variant) {
  const char* name = sparsesep_fully_connected_variant_name(variant);
  const char* isa = strrchr(name, '_');
  const int is_vnni = strcmp(isa, "_vnni") == 0;
  if (!is_vnni && strcmp(isa, "_avx2") != 0) return 1;
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) {
    return 0;
  }
  return !is_vnni || (__builtin_cpu_supports("avx512f") &&
                      __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512vl") &&
                      __builtin_cpu_supports("avx512vnni"));
}

#endif
