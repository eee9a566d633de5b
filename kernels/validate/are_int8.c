#include "sparsesep/compiler.h"
#include "sparsesep/sparsesep.h"

SPARSESEP_COLD
int sparsesep_are_int8(const SparsesepFullyConnectedParams* params) {
  const int32_t* value = &params->input_zero_point;  // the first of four
  for (int n = 0; n < 4; ++n) {
    if (value[n] != (int8_t)value[n]) return 0;
  }
  return params->activation_min <= params->activation_max;
}
