// Rows with few weights take longer to set up and to requantize than to
// multiply: here the lanes of a register are vectors, four to each, and a row's
// parameters serve twelve of them.
//
// A weight takes 10 instructions for twelve vectors, a row 39. A gather counts
// as one instruction, but takes a core as many cycles as it fetches bytes, or
// more: speedups by count are upper bounds.
#include "sparse_fully_connected/mve/twelve_vectors_mve.h"

#include "common/isa.h"
#include "common/rows.h"

#if SPARSESEP_HAS_MVE

#include <arm_mve.h>

// Rows of more weights are faster one vector after the other, 16 weights at a
// time.
#define MOST_WEIGHTS 24

// What does not change from row to row.
typedef struct Twelve {
  int32_t low[4];  // limits of the activation
  int32_t high[4];
  uint32_t output_offset[4];
  uint32_t output_step;  // from four vectors to the next four
} Twelve;

// clang-format off

// One requantized sum, to four outputs.
#define FINISH(sum, output)                          \
  "  vqrdmulh.s32 " sum ", " sum ", %[multiplier]\n" \
  "  vshr.s32 q6, " sum ", #31\n"                    \
  "  vadd.i32 " sum ", " sum ", q6\n"                \
  "  vrshl.s32 " sum ", %[shift]\n"                  \
  "  vadd.i32 " sum ", " sum ", %[zero_point]\n"     \
  "  vldrw.u32 q6, [%[twelve]]\n"                    \
  "  vmax.s32 " sum ", " sum ", q6\n"                \
  "  vldrw.u32 q6, [%[twelve], #16]\n"               \
  "  vmin.s32 " sum ", " sum ", q6\n"                \
  "  vstrb.32 " sum ", [" output ", q7]\n"

// clang-format on

// Inlined, callers would leave too few registers: the loop needs all of them.
__attribute__((noinline)) static void run_rows(
    const SparsesepPackedHeader* weights, const SparsesepRows* rows,
    const Twelve* twelve, const int8_t* x, uint32_t step, int8_t* output) {
  const uint16_t* counts = sparsesep_section(weights, weights->counts_offset);
  const uint8_t* index = sparsesep_section(weights, weights->index_offset);
  const int8_t* value = sparsesep_section(weights, weights->value_offset);
  const uint32x4_t first = vmulq_n_u32(vidupq_n_u32(0, 1), step);
  const uint32x4_t second = vaddq_n_u32(first, 4 * step);
  const uint32x4_t third = vaddq_n_u32(first, 8 * step);
  for (uint32_t row = 0; row < weights->rows; ++row, ++output) {
    uint32_t t = *counts++;
    int32_t w = rows->bias[row];
    __asm__ volatile(
        "vdup.32 q0, %[w]\n"
        "vmov q1, q0\n"
        "vmov q2, q0\n"
        "wls lr, %[t], 2f\n"
        "1:\n"
        "ldrb %[t], [%[index]], #1\n"
        "ldrsb %[w], [%[value]], #1\n"
        "add %[t], %[t], %[x]\n"
        "vldrb.s32 q6, [%[t], %q[first]]\n"
        "vmla.s32 q0, q6, %[w]\n"
        "vldrb.s32 q7, [%[t], %q[second]]\n"
        "vmla.s32 q1, q7, %[w]\n"
        "vldrb.s32 q6, [%[t], %q[third]]\n"
        "vmla.s32 q2, q6, %[w]\n"
        "le lr, 1b\n"
        "2:\n"
        "vldrw.u32 q7, [%[twelve], #32]\n"
        "ldr %[w], [%[twelve], #48]\n"
        "add %[t], %[output], %[w]\n"
        "add %[w], %[w], %[t]\n" FINISH("q0", "%[output]") FINISH("q1", "%[t]")
            FINISH("q2", "%[w]")
        : [index] "+&r"(index), [value] "+&r"(value), [t] "+&r"(t), [w] "+&r"(w)
        : [x] "r"(x), [twelve] "r"(twelve), [output] "r"(output),
          [multiplier] "r"(rows->multiplier[row]),
          [shift] "r"((int32_t)rows->shift[row]),
          [zero_point] "r"(rows->output_zero_point), [first] "w"(first),
          [second] "w"(second), [third] "w"(third)
        : "q0", "q1", "q2", "q6", "q7", "lr", "cc", "memory");
  }
}

int32_t sparsesep_run_twelve_vectors_mve(
    const SparsesepPackedHeader* weights,
    const SparsesepFullyConnectedParams* params, const int8_t* input,
    int32_t batch, int8_t* output) {
  const SparsesepRows rows = sparsesep_rows(weights, params);
  const uint32_t row_count = weights->rows;
  if (!rows.bounded || sparsesep_window_unit(weights) != 1 ||
      weights->blocks > MOST_WEIGHTS * row_count) {
    return 0;
  }
  Twelve twelve;
  for (uint32_t n = 0; n < 4; ++n) {
    twelve.low[n] = rows.activation_min;
    twelve.high[n] = rows.activation_max;
    twelve.output_offset[n] = n * row_count;
  }
  twelve.output_step = 4 * row_count;
  int32_t done = 0;
  for (; batch - done >= SPARSESEP_TWELVE_VECTORS;
       done += SPARSESEP_TWELVE_VECTORS) {
    run_rows(weights, &rows, &twelve, input, (uint32_t)params->input_step,
             output);
    input += SPARSESEP_TWELVE_VECTORS * params->input_step;
    output += SPARSESEP_TWELVE_VECTORS * row_count;
  }
  return done;
}

#endif  // SPARSESEP_HAS_MVE
