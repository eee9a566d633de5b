#ifndef SPARSESEP_COMMON_CLAMP_DSP_H_
#define SPARSESEP_COMMON_CLAMP_DSP_H_

#include "common/rows.h"

// Clamps int8 outputs, a multiple of four, to the activation's limits.
void sparsesep_clamp_dsp(const SparsesepRows* rows, int8_t* out,
                         const int8_t* end);

#endif  // SPARSESEP_COMMON_CLAMP_DSP_H_
