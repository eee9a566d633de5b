// The frame of kernels for the DSP extension that multiply eight vectors at a
// time, so that weights and indices are read once for all eight.
//
// SMLAL multiplies two inputs at once: a word holds x0 + x1 * 2^23, and the 64
// bits of a sum hold sum0 + sum1 * 2^23. sum0 fits its 23 bits while magnitudes
// of a row's weights add up to less than 2^15, as inputs are at most 2^7.
//
// Scratch: uint32 acc[2][SPARSESEP_ROW_PORTION][4]; directly after them the
// vectors, widened to words[cols][4], two vectors each.
#ifndef SPARSESEP_SPARSE_FULLY_CONNECTED_DSP_EIGHT_VECTORS_DSP_H_
#define SPARSESEP_SPARSE_FULLY_CONNECTED_DSP_EIGHT_VECTORS_DSP_H_

#include <stddef.h>

#include "common/isa.h"
#include "sparse_fully_connected/dsp/rows_dsp.h"

#if SPARSESEP_HAS_DSP_LAYOUTS
_Static_assert(16 * SPARSESEP_ROW_PORTION == 256 &&
                   offsetof(SparsesepVectorDsp, index) == 4 &&
                   offsetof(SparsesepVectorDsp, counts) == 8 &&
                   offsetof(SparsesepVectorDsp, acc) == 12 &&
                   offsetof(SparsesepVectorDsp, acc_end) == 16,
               "assembly reads them");
#endif

// What the kernels have in common, in assembly: `sum0` to `sum7` are the sums
// of a row, `xa`, `xb` and `w` are free at its end, and at sp + `at` lie `acc`
// and where it ends. `store_sums` leaves with `ne` while rows are left.
#define SPARSESEP_EIGHT_SUMS_DSP                 \
  "sum0 .req r4\n sum1 .req r5\n sum2 .req r6\n" \
  "sum3 .req r7\n sum4 .req r8\n sum5 .req r9\n" \
  "sum6 .req r10\n sum7 .req r11\n"              \
  ".macro clear_sums\n"                          \
  "  movs sum0, #0\n"                            \
  "  movs sum1, #0\n"                            \
  "  movs sum2, #0\n"                            \
  "  movs sum3, #0\n"                            \
  "  mov sum4, #0\n"                             \
  "  mov sum5, #0\n"                             \
  "  mov sum6, #0\n"                             \
  "  mov sum7, #0\n"                             \
  ".endm\n"                                      \
  ".macro multiply_next\n"                       \
  "  ldrd xa, xb, [x], #8\n"                     \
  "  smlal sum0, sum1, xa, w\n"                  \
  "  smlal sum2, sum3, xb, w\n"                  \
  "  ldrd xa, xb, [x], #8\n"                     \
  "  smlal sum4, sum5, xa, w\n"                  \
  "  smlal sum6, sum7, xb, w\n"                  \
  ".endm\n"                                      \
  ".macro split_sum low, high\n"                 \
  "  lsr w, \\low, #23\n"                        \
  "  orr \\high, w, \\high, lsl #9\n"            \
  "  sbfx \\low, \\low, #0, #23\n"               \
  "  sub \\high, \\high, \\low, asr #31\n"       \
  ".endm\n"                                      \
  ".macro split_sums\n"                          \
  "  split_sum sum0, sum1\n"                     \
  "  split_sum sum2, sum3\n"                     \
  "  split_sum sum4, sum5\n"                     \
  "  split_sum sum6, sum7\n"                     \
  ".endm\n"                                      \
  ".macro store_sums at\n"                       \
  "  ldrd xa, xb, [sp, \\at]\n"                  \
  "  add w, xa, #256\n"                          \
  "  stmia w, {sum4, sum5, sum6, sum7}\n"        \
  "  stmia xa!, {sum0, sum1, sum2, sum3}\n"      \
  "  str xa, [sp, \\at]\n"                       \
  "  cmp xa, xb\n"                               \
  ".endm\n"
#define SPARSESEP_END_OF_EIGHT_SUMS_DSP                              \
  ".purgem clear_sums\n .purgem multiply_next\n .purgem split_sum\n" \
  ".purgem split_sums\n .purgem store_sums\n"                        \
  ".unreq sum0\n .unreq sum1\n .unreq sum2\n .unreq sum3\n"          \
  ".unreq sum4\n .unreq sum5\n .unreq sum6\n .unreq sum7\n"

// As SparsesepMultiplyDsp, for eight vectors, which begin at `acc_end`. Sums of
// vectors 0 to 3 of a row go to `acc`, those of the others 256 bytes behind,
// where the last row's end at `acc_end`.
typedef void (*SparsesepMultiplyEightDsp)(SparsesepVectorDsp* vectors);

// Multiplies the batch by eights, of which the last one may be of vectors that
// were multiplied before, but for a single vector that is left. Returns how
// many: none of fewer than four, or if the weights of a row are too large
// together. Row-major blobs with 1x1 blocks.
int32_t sparsesep_multiply_eights_dsp(
    const SparsesepPackedHeader* weights,
    const SparsesepFullyConnectedParams* params, const int8_t* input,
    int32_t batch, int8_t* output, uint32_t* scratch,
    SparsesepMultiplyEightDsp multiply_eight);

// A whole kernel: `multiply` for the rest of the batch.
void sparsesep_run_eight_vectors_dsp(
    const SparsesepPackedHeader* weights,
    const SparsesepFullyConnectedParams* params, const void* input,
    int32_t batch, void* output, void* scratch, SparsesepMultiplyDsp multiply,
    SparsesepMultiplyEightDsp multiply_eight);

// From four vectors int8[cols], `step` bytes apart, to two words of
// wide[cols][4].
void sparsesep_interleave_four_dsp(const int8_t* vectors, uint32_t cols,
                                   uint32_t step, uint32_t* wide);

// As sparsesep_finish_rows(), from acc[count][4] to the four rows of outputs
// that are `stride` bytes apart. Does not clamp below int8.
void sparsesep_finish_four_dsp(const SparsesepRows* rows, uint32_t first,
                               uint32_t count, const uint32_t* acc, int8_t* out,
                               uint32_t stride);

#endif  // SPARSESEP_SPARSE_FULLY_CONNECTED_DSP_EIGHT_VECTORS_DSP_H_
