// The functions of kernels in windows that take the four rows of a block at a
// time. A file defines LOAD(x) and includes this: assembly that starts the loop
// of a group (START), and loads the 16 inputs of a run to q1, from `x` on.
#include "sparse_fully_connected/mve/run_mve.h"

// clang-format off

// One group. Its count is a multiple of a whole run, so that WLSTP needs no
// division. VMLADAVA takes even registers.
#define GROUP(window, x)                   \
  "  ldrh  lr, [%[counts]], #2\n"          \
  "  ldm   %[bias]!, {r6, r8, r10, r12}\n" \
  START                                    \
  "1:\n"                                   \
  window                                   \
  LOAD(x)                                  \
  "  vldrw.u32 q2, [%[value]], #16\n"      \
  "  vmladava.s8 r6, q1, q2\n"             \
  "  vldrw.u32 q3, [%[value]], #16\n"      \
  "  vmladava.s8 r8, q1, q3\n"             \
  "  vldrw.u32 q2, [%[value]], #16\n"      \
  "  vmladava.s8 r10, q1, q2\n"            \
  "  vldrw.u32 q3, [%[value]], #16\n"      \
  "  vmladava.s8 r12, q1, q3\n"            \
  "  letp  lr, 1b\n"                       \
  "2:\n"                                   \
  "  stm   %[acc]!, {r6, r8, r10, r12}\n"

#define CLOBBERED \
  "r6", "r8", "r10", "r12", "q0", "q1", "q2", "q3", "lr", "cc", "memory"

// clang-format on

static void accumulate(SparsesepStreams* streams, const int8_t* x,
                       uint32_t quads, const int32_t* bias, int32_t* acc) {
  SparsesepStreams s = *streams;
  // clang-format off
  __asm__ volatile(
      "3:\n"
      GROUP("", "%[x]")
      "  subs  %[quads], %[quads], #1\n"
      "  bne   3b\n"
      : [counts] "+&r"(s.counts), [index] "+&l"(s.index),
        [value] "+&r"(s.value), [bias] "+&r"(bias), [acc] "+&r"(acc),
        [quads] "+&r"(quads)
      : [x] "r"(x)
      : CLOBBERED);
  // clang-format on
  *streams = s;
}

static void accumulate_windows(SparsesepStreams* streams, const int8_t* x,
                               uint32_t quads, const int32_t* bias,
                               int32_t* acc) {
  SparsesepStreams s = *streams;
  const int8_t* window;
  for (; quads > 0; --quads) {
    __asm__ volatile(GROUP(SPARSESEP_MVE_WINDOW, "%[window]")
                     : [counts] "+&r"(s.counts), [index] "+&l"(s.index),
                       [value] "+&r"(s.value), [bias] "+&r"(bias),
                       [acc] "+&r"(acc), [window] "=&r"(window)
                     : [x] "r"(x), [window_cols] "r"(s.window_cols)
                     : CLOBBERED);
  }
  *streams = s;
}
