// 4x1 blocks, uint8 columns in windows, int8 values in rows of 16: Helium.
//
// A run of 16 blocks takes its inputs with one gather of bytes, for 4 rows: 11
// instructions per 64 weights, 13 where there are more than 256 columns and
// each run names its window. A gather counts as one instruction, but takes a
// core as many cycles as it fetches bytes, or more: speedups by count are upper
// bounds.
//
// Measured, 784 -> 300 at 80, 90 and 95% zeros, everything included: 0.24, 0.29
// and 0.41 instructions per nonzero.
#include "common/isa.h"
#include "sparse_fully_connected/mve/run_mve.h"
#include "sparse_fully_connected/variants.h"

#if SPARSESEP_HAS_MVE

// clang-format off

#define START "  wlstp.8 lr, lr, 2f\n"
#define LOAD(x)                      \
  "  vldrb.u8 q0, [%[index]], #16\n" \
  "  vldrb.u8 q1, [" x ", q0]\n"

// clang-format on

#include "sparse_fully_connected/mve/window8_four_rows_mve.h"

SPARSESEP_KERNEL(4x1_window8_int8, mve, sparsesep_run_mve, 1, accumulate,
                 accumulate_windows)

#endif  // SPARSESEP_HAS_MVE
