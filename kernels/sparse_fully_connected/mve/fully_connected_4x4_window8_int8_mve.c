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
#include "sparse_fully_connected/mve/mve.h"
#include "sparse_fully_connected/variants.h"

#if SPARSESEP_HAS_MVE

// One group. Its count is a multiple of 4, so that WLSTP needs no division.
// VMLADAVA takes even registers.
#define GROUP(window, x)               \
  "ldrh lr, [%[counts]], #2\n"         \
  "ldm %[bias]!, {r6, r8, r10, r12}\n" \
  "wlstp.32 lr, lr, 2f\n"              \
  "1:\n" window                        \
  "vldrb.u32 q0, [%[index]], #4\n"     \
  "vldrw.u32 q1, [" x                  \
  ", q0, uxtw #2]\n"                   \
  "vldrw.u32 q2, [%[value]], #16\n"    \
  "vmladava.s8 r6, q1, q2\n"           \
  "vldrw.u32 q3, [%[value]], #16\n"    \
  "vmladava.s8 r8, q1, q3\n"           \
  "vldrw.u32 q2, [%[value]], #16\n"    \
  "vmladava.s8 r10, q1, q2\n"          \
  "vldrw.u32 q3, [%[value]], #16\n"    \
  "vmladava.s8 r12, q1, q3\n"          \
  "letp lr, 1b\n"                      \
  "2:\n"                               \
  "stm %[acc]!, {r6, r8, r10, r12}\n"

#define CLOBBERED \
  "r6", "r8", "r10", "r12", "q0", "q1", "q2", "q3", "lr", "cc", "memory"

static void accumulate(SparsesepStreams* streams, const int8_t* x,
                       uint32_t quads, const int32_t* bias, int32_t* acc) {
  SparsesepStreams s = *streams;
  __asm volatile(
      "3:\n"
      GROUP("", "%[x]")
      "subs %[quads], %[quads], #1\n"
      "bne 3b\n"
      : [counts] "+&r"(s.counts), [index] "+&l"(s.index),
        [value] "+&r"(s.value), [bias] "+&r"(bias), [acc] "+&r"(acc),
        [quads] "+&r"(quads)
      : [x] "r"(x)
      : CLOBBERED);
  *streams = s;
}

static void accumulate_windows(SparsesepStreams* streams, const int8_t* x,
                               uint32_t quads, const int32_t* bias,
                               int32_t* acc) {
  SparsesepStreams s = *streams;
  const int8_t* window;
  for (; quads > 0; --quads) {
    __asm volatile(GROUP(SPARSESEP_MVE_WINDOW, "%[window]")
                   : [counts] "+&r"(s.counts), [index] "+&l"(s.index),
                     [value] "+&r"(s.value), [bias] "+&r"(bias),
                     [acc] "+&r"(acc), [window] "=&r"(window)
                   : [x] "r"(x), [window_cols] "r"(s.window_cols)
                   : CLOBBERED);
  }
  *streams = s;
}

void sparsesep_fully_connected_4x4_window8_int8_mve(
    const SparsesepPackedHeader* weights,
    const SparsesepFullyConnectedParams* params, const void* input,
    int32_t batch, void* output, void* scratch) {
  sparsesep_run_mve(
      weights, params, input, batch, output, scratch, 4,
      sparsesep_window_unit(weights) == 1 ? accumulate : accumulate_windows);
}

#endif  // SPARSESEP_HAS_MVE
