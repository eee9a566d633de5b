#include "common/rows.h"

#include "sparsesep/compiler.h"

SPARSESEP_COLD
SparsesepRows sparsesep_rows(const SparsesepPackedHeader* weights,
                             const SparsesepFullyConnectedParams* params) {
  const SparsesepRows rows = {
      sparsesep_section(weights, weights->bias_offset),
      sparsesep_section(weights, weights->multiplier_offset),
      sparsesep_section(weights, weights->shift_offset),
      params->output_zero_point,
      params->activation_min,
      params->activation_max,
      sparsesep_is_bounded(weights),
  };
  return rows;
}
