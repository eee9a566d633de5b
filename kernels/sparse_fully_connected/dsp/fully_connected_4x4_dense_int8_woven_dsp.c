// 4x4 blocks, all of them stored, interleaved int8 values: Armv7E-M and Armv8-M
// with DSP.
//
// A block by one vector: 1 instruction fetches its inputs, 1 its weights, 12
// multiply; 1 for the loop of two blocks. 0.9 instructions a weight, and 20 for
// each four rows.
#include "common/isa.h"
#include "sparse_fully_connected/dsp/run_dense_vectors_dsp.h"
#include "sparse_fully_connected/variants.h"

#if SPARSESEP_HAS_DSP_LAYOUTS

#define SPARSESEP_WOVEN_4X4_INPUTS "  ldrd even, odd, [x], #8\n"
#include "sparse_fully_connected/dsp/woven_4x4_rows_dsp.inc"

SPARSESEP_KERNEL(4x4_dense_int8_woven, dsp, sparsesep_run_dense_vectors_dsp,
                 multiply)

#endif
