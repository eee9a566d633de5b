// 2x4 blocks, uint8 tiles in windows, int8 values in rows of 16: Helium.
//
// A run of 4 blocks takes its 16 inputs with one gather of words, for 2 rows: 7
// instructions per 32 weights, 9 where a group has more than 256 tiles and each
// run names its window. A gather counts as one instruction, but takes a core as
// many cycles as it fetches words, or more: speedups by count are upper bounds.
//
// Gathered words must be aligned: sparsesep_run_mve() copies other vectors.
//
// Measured, 784 -> 300 at 80, 90 and 95% zeros, everything included: 0.27, 0.31
// and 0.41 instructions per nonzero.
#include "common/isa.h"
#include "sparse_fully_connected/mve/run_mve.h"
#include "sparse_fully_connected/variants.h"

#if SPARSESEP_HAS_MVE

// clang-format off

// Both rows of one group. Its count is a multiple of 4, so that WLSTP needs no
// division.
#define PAIR(window, x)                    \
  "  ldrh  lr, [%[counts]], #2\n"          \
  "  wlstp.32 lr, lr, 2f\n"                \
  "1:\n"                                   \
  window                                   \
  "  vldrb.u32 q0, [%[index]], #4\n"       \
  "  vldrw.u32 q1, [" x ", q0, uxtw #2]\n" \
  "  vldrw.u32 q0, [%[value]], #16\n"      \
  "  vmladava.s8 %[acc0], q0, q1\n"        \
  "  vldrw.u32 q0, [%[value]], #16\n"      \
  "  vmladava.s8 %[acc1], q0, q1\n"        \
  "  letp  lr, 1b\n"                       \
  "2:\n"

// clang-format on

#include "sparse_fully_connected/mve/window8_two_rows_mve.h"

SPARSESEP_KERNEL(2x4_window8_int8, mve, sparsesep_run_mve, 4, accumulate,
                 accumulate_windows)

#endif  // SPARSESEP_HAS_MVE
