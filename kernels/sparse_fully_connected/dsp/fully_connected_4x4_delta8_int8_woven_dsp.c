// 4x4 blocks, uint8 steps, interleaved int8 values: Armv7E-M and Armv8-M with
// DSP.
//
// A block: 3 instructions fetch its step and its inputs, 1 its weights, 12
// multiply; 1 for the loop of two blocks. 1.06 instructions a weight, and 20
// for each four rows.
#include "common/isa.h"
#include "sparse_fully_connected/dsp/run_vector_tiles_dsp.h"
#include "sparse_fully_connected/variants.h"

#if SPARSESEP_HAS_DSP_LAYOUTS

#define SPARSESEP_WOVEN_4X4_INPUTS \
  "  ldrb w0, [index], #1\n"       \
  "  add x, x, w0, lsl #3\n"       \
  "  ldrd even, odd, [x]\n"
#include "sparse_fully_connected/dsp/woven_4x4_rows_dsp.inc"

SPARSESEP_KERNEL(4x4_delta8_int8_woven, dsp, sparsesep_run_vector_tiles_dsp,
                 multiply)

#endif
