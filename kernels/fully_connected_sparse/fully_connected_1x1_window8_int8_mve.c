// 1x1 blocks, uint8 columns in windows, int8 values: Helium.
//
// A run of 16 weights takes its inputs with one gather of bytes: 5 instructions,
// 7 where there are more than 256 columns and each run names its window. A
// gather counts as one instruction, but takes a core as many cycles as it
// fetches bytes, or more: speedups by count are upper bounds.
#include "isa.h"
#include "mve.h"
#include "variants.h"

#if SPARSESEP_HAS_MVE

// acc + one row. A run that is not full moves the streams on by 16, too: what
// it has too much is taken back.
#define ROW(window, x)                   \
  "wlstp.8 lr, %[count], 2f\n"           \
  "1:\n" window                          \
  "vldrb.u8 q0, [%[index]], #16\n"       \
  "vldrb.u8 q1, [" x ", q0]\n"           \
  "vldrb.u8 q0, [%[value]], #16\n"       \
  "vmladava.s8 %[acc], q0, q1\n"         \
  "letp lr, 1b\n"                        \
  "rsb %[count], %[count], #0\n"         \
  "and %[count], %[count], #15\n"        \
  "sub %[index], %[index], %[count]\n"   \
  "sub %[value], %[value], %[count]\n"   \
  "2:\n"

static void accumulate(SparsesepStreams* streams, const int8_t* x,
                       uint32_t groups, const int32_t* bias, int32_t* acc) {
  SparsesepStreams s = *streams;
  for (; groups > 0; --groups) {
    uint32_t count = *s.counts++;
    int32_t sum = *bias++;
    __asm volatile(ROW("", "%[x]")
                   : [index] "+&r"(s.index), [value] "+&r"(s.value),
                     [count] "+&r"(count), [acc] "+&Te"(sum)
                   : [x] "r"(x)
                   : "q0", "q1", "lr", "cc", "memory");
    *acc++ = sum;
  }
  *streams = s;
}

static void accumulate_windows(SparsesepStreams* streams, const int8_t* x,
                               uint32_t groups, const int32_t* bias,
                               int32_t* acc) {
  SparsesepStreams s = *streams;
  const int8_t* window;
  for (; groups > 0; --groups) {
    uint32_t count = *s.counts++;
    int32_t sum = *bias++;
    __asm volatile(ROW(SPARSESEP_MVE_WINDOW, "%[window]")
                   : [index] "+&r"(s.index), [value] "+&r"(s.value),
                     [count] "+&r"(count), [acc] "+&Te"(sum),
                     [window] "=&r"(window)
                   : [x] "r"(x), [window_cols] "r"(s.window_cols)
                   : "q0", "q1", "lr", "cc", "memory");
    *acc++ = sum;
  }
  *streams = s;
}

void sparsesep_fully_connected_1x1_window8_int8_mve(
    const SparsesepPackedHeader* weights,
    const SparsesepFullyConnectedParams* params, const void* input,
    int32_t batch, void* output, void* scratch) {
  sparsesep_run_mve(weights, params, input, batch, output, scratch, 1,
                    sparsesep_window_unit(weights) == 1 ? accumulate
                                                        : accumulate_windows);
}

#endif  // SPARSESEP_HAS_MVE
