// The frame of kernels for the DSP extension that multiply four vectors at a
// time, so that weights and indices are read once for all four.
//
// Scratch: uint32 acc[rows of a portion][4]; directly after them the vectors,
// widened to int16[cols][4].
#ifndef SPARSESEP_SPARSE_FULLY_CONNECTED_DSP_FOUR_VECTORS_DSP_H_
#define SPARSESEP_SPARSE_FULLY_CONNECTED_DSP_FOUR_VECTORS_DSP_H_

#include "sparse_fully_connected/dsp/rows_dsp.h"

// As SparsesepMultiplyDsp, for four vectors, which begin at `acc_end`.
typedef void (*SparsesepMultiplyFourDsp)(SparsesepVectorDsp* vectors);

// A whole kernel: `multiply_four` for whole fours, `multiply` for the rest of
// the batch. Row-major blobs with 1x1 blocks.
void sparsesep_run_four_vectors_dsp(const SparsesepPackedHeader* weights,
                                    const SparsesepFullyConnectedParams* params,
                                    const void* input, int32_t batch,
                                    void* output, void* scratch,
                                    SparsesepMultiplyDsp multiply,
                                    SparsesepMultiplyFourDsp multiply_four);

// From four vectors int8[cols], `step` bytes apart, to wide[cols][4].
void sparsesep_interleave_four_dsp(const int8_t* vectors, uint32_t cols,
                                   uint32_t step, int16_t* wide);

// As sparsesep_finish_rows(), from acc[count][4] to the four rows of outputs
// that are `stride` bytes apart. Does not clamp below int8.
void sparsesep_finish_four_dsp(const SparsesepRows* rows, uint32_t first,
                               uint32_t count, const uint32_t* acc, int8_t* out,
                               uint32_t stride);

#endif  // SPARSESEP_SPARSE_FULLY_CONNECTED_DSP_FOUR_VECTORS_DSP_H_
