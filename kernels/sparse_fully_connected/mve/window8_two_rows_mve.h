// The functions of kernels in windows that take two rows at a time. A file
// defines PAIR(window, x) and includes this: assembly that adds up two rows in
// acc0 and acc1. `window` starts a run, `x` is the operand that its indices are
// relative to.
//
// Tail predication keeps loads inside the streams.
#include "sparse_fully_connected/mve/run_mve.h"

static void accumulate(SparsesepStreams* streams, const int8_t* x,
                       uint32_t quads, const int32_t* bias, int32_t* acc) {
  SparsesepStreams s = *streams;
  int32_t acc0;
  int32_t acc1;
  uint32_t count;
  __asm__ volatile(
      SPARSESEP_MVE_QUADS(PAIR("", "%[x]"))
      : [counts] "+&r"(s.counts), [index] "+&l"(s.index),
        [value] "+&r"(s.value), [bias] "+&r"(bias), [acc] "+&r"(acc),
        [quads] "+&r"(quads), [count] "=&r"(count), [acc0] "=&Te"(acc0),
        [acc1] "=&Te"(acc1)
      : [x] "r"(x)
      : "q0", "q1", "lr", "cc", "memory");
  *streams = s;
}

static void accumulate_windows(SparsesepStreams* streams, const int8_t* x,
                               uint32_t quads, const int32_t* bias,
                               int32_t* acc) {
  SparsesepStreams s = *streams;
  int32_t acc0;
  int32_t acc1;
  uint32_t count;
  const int8_t* window;
  __asm__ volatile(
      SPARSESEP_MVE_QUADS(PAIR(SPARSESEP_MVE_WINDOW, "%[window]"))
      : [counts] "+&r"(s.counts), [index] "+&l"(s.index),
        [value] "+&r"(s.value), [bias] "+&r"(bias), [acc] "+&r"(acc),
        [quads] "+&r"(quads), [count] "=&r"(count), [acc0] "=&Te"(acc0),
        [acc1] "=&Te"(acc1), [window] "=&r"(window)
      : [x] "r"(x), [window_cols] "r"(s.window_cols)
      : "q0", "q1", "lr", "cc", "memory");
  *streams = s;
}
