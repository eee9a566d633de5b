// 1x1 blocks, uint16 columns, int8 values: Helium.
//
// 8 weights take their inputs with one gather of bytes, widened to 16 bits: 5
// instructions. A gather counts as one instruction, but takes a core as many
// cycles as it fetches bytes, or more: speedups by count are upper bounds.
//
// Measured, 784 -> 300 at 80, 90 and 95% zeros, everything included: 0.71, 0.79
// and 0.96 instructions per nonzero.
#include "common/isa.h"
#include "sparse_fully_connected/mve/mve.h"
#include "sparse_fully_connected/variants.h"

#if SPARSESEP_HAS_MVE

// acc += one row. A last round that is not full moves the streams on by 8, too:
// what that is too much is taken back.
#define ROW(acc)                                 \
  "ldrh %[count], [%[counts]], #2\n"             \
  "wlstp.16 lr, %[count], 2f\n"                  \
  "1:\n"                                         \
  "vldrh.u16 q0, [%[column]], #16\n"             \
  "vldrb.s16 q1, [%[x], q0]\n"                   \
  "vldrb.s16 q0, [%[value]], #8\n"               \
  "vmladava.s16 " acc                            \
  ", q0, q1\n"                                   \
  "letp lr, 1b\n"                                \
  "rsb %[count], %[count], #0\n"                 \
  "and %[count], %[count], #7\n"                 \
  "sub %[column], %[column], %[count], lsl #1\n" \
  "sub %[value], %[value], %[count]\n"           \
  "2:\n"

// Two rows: as many as there are registers for.
#define PAIR                                              \
  "ldrd %[acc0], %[acc1], [%[bias]], #8\n" ROW("%[acc0]") \
      ROW("%[acc1]") "strd %[acc0], %[acc1], [%[acc]], #8\n"

static void accumulate(SparsesepStreams* streams, const int8_t* x,
                       uint32_t quads, const int32_t* bias, int32_t* acc) {
  SparsesepStreams s = *streams;
  int32_t acc0;
  int32_t acc1;
  uint32_t count;
  __asm volatile("3:\n" PAIR PAIR
                 "subs %[quads], %[quads], #1\n"
                 "bne 3b\n"
                 : [counts] "+&r"(s.counts), [column] "+&r"(s.index),
                   [value] "+&l"(s.value), [bias] "+&r"(bias), [acc] "+&r"(acc),
                   [quads] "+&r"(quads), [count] "=&r"(count),
                   [acc0] "=&Te"(acc0), [acc1] "=&Te"(acc1)
                 : [x] "r"(x)
                 : "q0", "q1", "lr", "cc", "memory");
  *streams = s;
}

void sparsesep_fully_connected_1x1_u16_int8_mve(
    const SparsesepPackedHeader* weights,
    const SparsesepFullyConnectedParams* params, const void* input,
    int32_t batch, void* output, void* scratch) {
  sparsesep_run_mve(weights, params, input, batch, output, scratch, 1,
                    accumulate);
}

#endif  // SPARSESEP_HAS_MVE
