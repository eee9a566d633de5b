// 1x1 blocks, uint8 columns in windows, int8 values: Helium.
//
// A run of 16 weights takes its inputs with one gather of bytes: 5
// instructions, 7 where there are more than 256 columns and each run names its
// window. A gather counts as one instruction, but takes a core as many cycles
// as it fetches bytes, or more: speedups by count are upper bounds.
//
// Measured, 784 -> 300 at 80, 90 and 95% zeros, everything included: 0.53, 0.62
// and 0.87 instructions per nonzero.
#include "common/isa.h"
#include "sparse_fully_connected/mve/run_mve.h"
#include "sparse_fully_connected/mve/twelve_vectors_mve.h"
#include "sparse_fully_connected/variants.h"

#if SPARSESEP_HAS_MVE

// clang-format off

// acc += one row. A partial run also advances the pointers by 16: the excess is
// rewound.
#define ROW(acc, window, x)                \
  "  ldrh  %[count], [%[counts]], #2\n"    \
  "  wlstp.8 lr, %[count], 2f\n"           \
  "1:\n"                                   \
  window                                   \
  "  vldrb.u8 q0, [%[index]], #16\n"       \
  "  vldrb.u8 q1, [" x ", q0]\n"           \
  "  vldrb.u8 q0, [%[value]], #16\n"       \
  "  vmladava.s8 " acc ", q0, q1\n"        \
  "  letp  lr, 1b\n"                       \
  "  rsb   %[count], %[count], #0\n"       \
  "  and   %[count], %[count], #15\n"      \
  "  sub   %[index], %[index], %[count]\n" \
  "  sub   %[value], %[value], %[count]\n" \
  "2:\n"

#define PAIR(window, x) ROW("%[acc0]", window, x) ROW("%[acc1]", window, x)

// clang-format on

#include "sparse_fully_connected/mve/window8_two_rows_mve.h"

SPARSESEP_KERNEL(1x1_window8_int8, mve, sparsesep_run_many_mve, 1, accumulate,
                 accumulate_windows, sparsesep_run_twelve_vectors_mve,
                 SPARSESEP_TWELVE_VECTORS)

#endif  // SPARSESEP_HAS_MVE
