// 4x4 blocks by up to sixteen vectors: a run of blocks stays in registers while
// the vectors pass by, and so do a row group's parameters while it is
// requantized.
//
// A run of four blocks takes 9 instructions a vector and 8 a pass, the
// requantization of a row group 9 a vector. A gather counts as one instruction,
// but takes a core as many cycles as it fetches words, or more: speedups by
// count are upper bounds.
#include "common/isa.h"
#include "common/rows.h"
#include "sparse_fully_connected/mve/vector_pairs_mve.h"

#if SPARSESEP_HAS_MVE

#include <arm_mve.h>

// What the groups of a pass share.
typedef struct Pass {
  const uint8_t* index;  // streams: moved on
  const int8_t* value;
  const int8_t* x;   // the first vector
  uint32_t step;     // bytes to the next one
  uint32_t vectors;  // even
} Pass;

// clang-format off

// Adds a run to the sums of all vectors, which LOAD brings to r6, r8, r10 and
// r12. VMLADAVA takes even registers.
#define RUN(LOAD)                                 \
  __asm__ volatile(                               \
      "  vldrb.u32 q0, [%[index]], #4\n"          \
      "  vldrw.u32 q2, [%[value]], #16\n"         \
      "  vldrw.u32 q3, [%[value]], #16\n"         \
      "  vldrw.u32 q4, [%[value]], #16\n"         \
      "  vldrw.u32 q5, [%[value]], #16\n"         \
      "  dls   lr, %[vectors]\n"                  \
      "1:\n"                                      \
      "  vldrw.u32 q1, [%[x], q0, uxtw #2]\n"     \
      LOAD                                        \
      "  vmladava.s8 r6, q1, q2\n"                \
      "  vmladava.s8 r8, q1, q3\n"                \
      "  vmladava.s8 r10, q1, q4\n"               \
      "  vmladava.s8 r12, q1, q5\n"               \
      "  stm   %[acc]!, {r6, r8, r10, r12}\n"     \
      "  add   %[x], %[x], %[step]\n"             \
      "  le    lr, 1b\n"                          \
      : [index] "+&l"(pass->index), [value] "+&r"(pass->value), \
        [x] "+&r"(x), [acc] "+&r"(acc)            \
      : [bias] "r"(bias), [step] "r"(pass->step), \
        [vectors] "r"(pass->vectors)              \
      : "r6", "r8", "r10", "r12", "q0", "q1", "q2", "q3", "q4", "q5", "lr", \
        "cc", "memory")

// clang-format on

// sums[vectors][4] = bias + weights * x, for the next group.
static inline void multiply_group(Pass* pass, uint32_t runs,
                                  const int32_t* bias, int32_t* sums) {
  const int8_t* x = pass->x;
  int32_t* acc = sums;
  if (runs == 0) {
    const int32x4_t four = vldrwq_s32(bias);
    for (uint32_t n = 0; n < pass->vectors; ++n) vstrwq_s32(acc + 4 * n, four);
    return;
  }
  RUN("  ldm   %[bias], {r6, r8, r10, r12}\n");
  while (--runs > 0) {
    x = pass->x;
    acc = sums;
    RUN("  ldm   %[acc], {r6, r8, r10, r12}\n");
  }
}

// Outputs of a group's four rows. Two vectors a round, in the halves of words.
// How a row is finished is told in requantize_mve.c.
static inline void finish_group(const SparsesepRows* rows, uint32_t row,
                                uint32_t row_count, uint32_t pairs,
                                const int32_t* sums, int8_t* out) {
  const int32x4_t multiplier = vldrwq_s32(rows->multiplier + row);
  const int32x4_t shift = vldrbq_s32(rows->shift + row);
  const int16x8_t low = vdupq_n_s16((int16_t)rows->activation_min);
  const int16x8_t high = vdupq_n_s16((int16_t)rows->activation_max);
  // Rows 0 to 3 of both vectors by turns.
  const uint32x4_t places =
      vmlaq_n_u32(vdupq_n_u32(row_count << 16), vidupq_n_u32(0, 1), 0x10001);
  __asm__ volatile(
      "  dls   lr, %[pairs]\n"
      "1:\n"
      "  vldrw.u32 q0, [%[sums]], #16\n"
      "  vldrw.u32 q1, [%[sums]], #16\n"
      "  vqrdmulh.s32 q0, q0, %q[multiplier]\n"
      "  vqrdmulh.s32 q1, q1, %q[multiplier]\n"
      "  vshr.s32 q2, q0, #31\n"
      "  vadd.i32 q0, q0, q2\n"
      "  vshr.s32 q2, q1, #31\n"
      "  vadd.i32 q1, q1, q2\n"
      "  vrshl.s32 q0, q0, %q[shift]\n"
      "  vrshl.s32 q1, q1, %q[shift]\n"
      "  vqmovnb.s32 q0, q0\n"
      "  vqmovnt.s32 q0, q1\n"
      "  vqadd.s16 q0, q0, %[zero_point]\n"
      "  vmax.s16 q0, q0, %q[low]\n"
      "  vmin.s16 q0, q0, %q[high]\n"
      "  vstrb.16 q0, [%[out], %q[places]]\n"
      "  add   %[out], %[out], %[step]\n"
      "  le    lr, 1b\n"
      : [sums] "+&r"(sums), [out] "+&r"(out)
      : [multiplier] "w"(multiplier), [shift] "w"(shift), [low] "w"(low),
        [high] "w"(high), [places] "w"(places), [pairs] "r"(pairs),
        [zero_point] "r"(rows->output_zero_point), [step] "r"(2 * row_count)
      : "q0", "q1", "q2", "lr", "cc", "memory");
}

int32_t sparsesep_run_vector_pairs_mve(
    const SparsesepPackedHeader* weights,
    const SparsesepFullyConnectedParams* params, const int8_t* input,
    int32_t batch, int8_t* output) {
  const uint32_t row_count = weights->rows;
  Pass pass;
  pass.step = (uint32_t)params->input_step;
  pass.x = input;
  // Words are gathered aligned, and whole groups stored.
  if (((row_count | weights->cols | pass.step | (uintptr_t)input) & 3) != 0 ||
      !sparsesep_is_bounded(weights) || sparsesep_window_unit(weights) != 1) {
    return 0;
  }
  const SparsesepRows rows = sparsesep_rows(weights, params);
  const uint32_t whole = (uint32_t)batch & ~1u;
  for (uint32_t left = whole; left > 0; left -= pass.vectors) {
    int32_t sums[4 * SPARSESEP_PAIRED_VECTORS];
    const uint16_t* counts = sparsesep_section(weights, weights->counts_offset);
    pass.index = sparsesep_section(weights, weights->index_offset);
    pass.value = sparsesep_section(weights, weights->value_offset);
    pass.vectors =
        left < SPARSESEP_PAIRED_VECTORS ? left : SPARSESEP_PAIRED_VECTORS;
    for (uint32_t row = 0; row < row_count; row += 4) {
      multiply_group(&pass, *counts++ / 4u, rows.bias + row, sums);
      finish_group(&rows, row, row_count, pass.vectors / 2, sums, output + row);
    }
    pass.x += pass.vectors * pass.step;
    output += pass.vectors * row_count;
  }
  return (int32_t)whole;
}

#endif  // SPARSESEP_HAS_MVE
