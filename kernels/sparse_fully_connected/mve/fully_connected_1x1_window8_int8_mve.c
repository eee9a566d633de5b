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
#include "sparse_fully_connected/mve/mve.h"
#include "sparse_fully_connected/mve/twelve_vectors_mve.h"
#include "sparse_fully_connected/variants.h"

#if SPARSESEP_HAS_MVE

// acc += one row. A run that is not full moves the streams on by 16, too: what
// that is too much is taken back.
#define ROW(acc, window, x)            \
  "ldrh %[count], [%[counts]], #2\n"   \
  "wlstp.8 lr, %[count], 2f\n"         \
  "1:\n" window                        \
  "vldrb.u8 q0, [%[index]], #16\n"     \
  "vldrb.u8 q1, [" x                   \
  ", q0]\n"                            \
  "vldrb.u8 q0, [%[value]], #16\n"     \
  "vmladava.s8 " acc                   \
  ", q0, q1\n"                         \
  "letp lr, 1b\n"                      \
  "rsb %[count], %[count], #0\n"       \
  "and %[count], %[count], #15\n"      \
  "sub %[index], %[index], %[count]\n" \
  "sub %[value], %[value], %[count]\n" \
  "2:\n"

// Two rows: as many as there are registers for.
#define PAIR(window, x)                                              \
  "ldrd %[acc0], %[acc1], [%[bias]], #8\n" ROW("%[acc0]", window, x) \
      ROW("%[acc1]", window, x) "strd %[acc0], %[acc1], [%[acc]], #8\n"

#define QUAD(window, x) \
  "3:\n" PAIR(window, x) PAIR(window, x)   \
  "subs %[quads], %[quads], #1\n"           \
  "bne 3b\n"

static void accumulate(SparsesepStreams* streams, const int8_t* x,
                       uint32_t quads, const int32_t* bias, int32_t* acc) {
  SparsesepStreams s = *streams;
  int32_t acc0;
  int32_t acc1;
  uint32_t count;
  __asm volatile(QUAD("", "%[x]")
                 : [counts] "+&r"(s.counts), [index] "+&r"(s.index),
                   [value] "+&r"(s.value), [bias] "+&r"(bias), [acc] "+&r"(acc),
                   [quads] "+&r"(quads), [count] "=&r"(count),
                   [acc0] "=&Te"(acc0), [acc1] "=&Te"(acc1)
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
  __asm volatile(
      QUAD(SPARSESEP_MVE_WINDOW, "%[window]")
      : [counts] "+&r"(s.counts), [index] "+&r"(s.index),
        [value] "+&r"(s.value), [bias] "+&r"(bias), [acc] "+&r"(acc),
        [quads] "+&r"(quads), [count] "=&r"(count), [acc0] "=&Te"(acc0),
        [acc1] "=&Te"(acc1), [window] "=&r"(window)
      : [x] "r"(x), [window_cols] "r"(s.window_cols)
      : "q0", "q1", "lr", "cc", "memory");
  *streams = s;
}

void sparsesep_fully_connected_1x1_window8_int8_mve(
    const SparsesepPackedHeader* weights,
    const SparsesepFullyConnectedParams* params, const void* input,
    int32_t batch, void* output, void* scratch) {
  const int32_t done =
      sparsesep_run_twelve_vectors_mve(weights, params, input, batch, output);
  if (done == batch) return;
  sparsesep_run_mve(
      weights, params, (const int8_t*)input + done * params->input_step,
      batch - done, (int8_t*)output + (uint32_t)done * weights->rows, scratch,
      1, sparsesep_window_unit(weights) == 1 ? accumulate : accumulate_windows);
}

#endif  // SPARSESEP_HAS_MVE
