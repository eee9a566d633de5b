// 4x4 blocks, uint8 tiles in windows, int8 values in rows of 16: Helium.
//
// A run of 4 blocks takes its 16 inputs with one gather of words, for 4 rows:
// 11 instructions per 64 weights, 13 where a group has more than 256 tiles and
// each run names its window. A gather counts as one instruction, but takes a
// core as many cycles as it fetches words, or more: speedups by count are upper
// bounds.
//
// Gathered words must be aligned: sparsesep_run_mve() copies other vectors.
//
// Measured, 784 -> 300 at 80, 90 and 95% zeros, everything included: 0.21, 0.25
// and 0.33 instructions per nonzero.
#include "common/isa.h"
#include "sparse_fully_connected/mve/run_mve.h"
#include "sparse_fully_connected/mve/vector_pairs_mve.h"
#include "sparse_fully_connected/variants.h"

#if SPARSESEP_HAS_MVE

// clang-format off

#define START "  wlstp.32 lr, lr, 2f\n"
#define LOAD(x)                      \
  "  vldrb.u32 q0, [%[index]], #4\n" \
  "  vldrw.u32 q1, [" x ", q0, uxtw #2]\n"

// clang-format on

#include "sparse_fully_connected/mve/window8_four_rows_mve.h"

SPARSESEP_KERNEL(4x4_window8_int8, mve, sparsesep_run_many_mve, 4, accumulate,
                 accumulate_windows, sparsesep_run_vector_pairs_mve, 2)

#endif  // SPARSESEP_HAS_MVE
