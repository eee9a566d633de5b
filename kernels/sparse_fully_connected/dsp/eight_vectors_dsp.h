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

#include "sparse_fully_connected/dsp/rows_dsp.h"

// Assembly: splits a sum of two vectors.
#define SPARSESEP_SPLIT_SUM_DSP             \
  ".macro split sum0, sum1, t\n"            \
  "  lsr \\t, \\sum0, #23\n"                \
  "  orr \\sum1, \\t, \\sum1, lsl #9\n"     \
  "  sbfx \\sum0, \\sum0, #0, #23\n"        \
  "  sub \\sum1, \\sum1, \\sum0, asr #31\n" \
  ".endm\n"

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
