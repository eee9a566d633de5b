// 1x4 blocks, uint8 tiles in windows, int8 values: Helium.
//
// A run of 4 blocks takes its 16 inputs with one gather of words: 5
// instructions per 16 weights, 7 where a group has more than 256 tiles and each
// run names its window. A gather counts as one instruction, but takes a core as
// many cycles as it fetches words, or more: speedups by count are upper bounds.
//
// Gathered words must be aligned: sparsesep_run_mve() copies other vectors.
//
// Measured, 784 -> 300 at 80, 90 and 95% zeros, everything included: 0.40, 0.48
// and 0.64 instructions per nonzero.
#include "common/isa.h"
#include "sparse_fully_connected/mve/run_mve.h"
#include "sparse_fully_connected/variants.h"

#if SPARSESEP_HAS_MVE

// clang-format off

// acc += one row. A partial run also advances the pointers by 4 blocks: the
// excess is rewound.
#define ROW(acc, window, x)                        \
  "  ldrh  %[count], [%[counts]], #2\n"            \
  "  wlstp.32 lr, %[count], 2f\n"                  \
  "1:\n"                                           \
  window                                           \
  "  vldrb.u32 q0, [%[index]], #4\n"               \
  "  vldrw.u32 q1, [" x ", q0, uxtw #2]\n"         \
  "  vldrw.u32 q0, [%[value]], #16\n"              \
  "  vmladava.s8 " acc ", q0, q1\n"                \
  "  letp  lr, 1b\n"                               \
  "  rsb   %[count], %[count], #0\n"               \
  "  and   %[count], %[count], #3\n"               \
  "  sub   %[index], %[index], %[count]\n"         \
  "  sub   %[value], %[value], %[count], lsl #2\n" \
  "2:\n"

#define PAIR(window, x) ROW("%[acc0]", window, x) ROW("%[acc1]", window, x)

// clang-format on

#include "sparse_fully_connected/mve/window8_two_rows_mve.h"

SPARSESEP_KERNEL(1x4_window8_int8, mve, sparsesep_run_mve, 4, accumulate,
                 accumulate_windows)

#endif  // SPARSESEP_HAS_MVE
