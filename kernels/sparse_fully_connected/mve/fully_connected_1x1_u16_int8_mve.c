// 1x1 blocks, uint16 columns, int8 values: Helium.
//
// 8 weights take their inputs with one gather of bytes, widened to 16 bits: 5
// instructions. A gather counts as one instruction, but takes a core as many
// cycles as it fetches bytes, or more: speedups by count are upper bounds.
//
// Measured, 784 -> 300 at 80, 90 and 95% zeros, everything included: 0.71, 0.79
// and 0.96 instructions per nonzero.
#include "common/isa.h"
#include "sparse_fully_connected/mve/run_mve.h"
#include "sparse_fully_connected/variants.h"

#if SPARSESEP_HAS_MVE

// clang-format off

// acc += one row. A partial round also advances the pointers by 8: the excess
// is rewound.
#define ROW(acc)                                     \
  "  ldrh  %[count], [%[counts]], #2\n"              \
  "  wlstp.16 lr, %[count], 2f\n"                    \
  "1:\n"                                             \
  "  vldrh.u16 q0, [%[column]], #16\n"               \
  "  vldrb.s16 q1, [%[x], q0]\n"                     \
  "  vldrb.s16 q0, [%[value]], #8\n"                 \
  "  vmladava.s16 " acc ", q0, q1\n"                 \
  "  letp  lr, 1b\n"                                 \
  "  rsb   %[count], %[count], #0\n"                 \
  "  and   %[count], %[count], #7\n"                 \
  "  sub   %[column], %[column], %[count], lsl #1\n" \
  "  sub   %[value], %[value], %[count]\n"           \
  "2:\n"

#define PAIR ROW("%[acc0]") ROW("%[acc1]")

// clang-format on

static void accumulate(SparsesepStreams* streams, const int8_t* x,
                       uint32_t quads, const int32_t* bias, int32_t* acc) {
  SparsesepStreams s = *streams;
  int32_t acc0;
  int32_t acc1;
  uint32_t count;
  __asm__ volatile(
      SPARSESEP_MVE_QUADS(PAIR)
      : [counts] "+&r"(s.counts), [column] "+&r"(s.index),
        [value] "+&l"(s.value), [bias] "+&r"(bias), [acc] "+&r"(acc),
        [quads] "+&r"(quads), [count] "=&r"(count), [acc0] "=&Te"(acc0),
        [acc1] "=&Te"(acc1)
      : [x] "r"(x)
      : "q0", "q1", "lr", "cc", "memory");
  *streams = s;
}

SPARSESEP_KERNEL(1x1_u16_int8, mve, sparsesep_run_mve, 1, accumulate,
                 accumulate)

#endif  // SPARSESEP_HAS_MVE
