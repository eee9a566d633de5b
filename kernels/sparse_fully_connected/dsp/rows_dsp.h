// The frame of the kernels for the DSP extension: a kernel multiplies rows by
// one vector, the frame does what all have in common.
//
// Scratch: uint32 acc[rows of a portion, rounded up to whole blocks]; directly
// after them, where blocks span columns, the vector, widened. Column-major
// blobs have one portion of all rows, and blocks of one column.
#ifndef SPARSESEP_SPARSE_FULLY_CONNECTED_DSP_ROWS_DSP_H_
#define SPARSESEP_SPARSE_FULLY_CONNECTED_DSP_ROWS_DSP_H_

#include "common/rows.h"
#include "sparse_fully_connected/padded_vector.h"
#include "sparsesep/compiler.h"
#include "sparsesep/sparsesep.h"

// Row-major kernels hand accumulators over in portions of at most this many
// rows, a multiple of every block's: more cost scratch, fewer instructions.
#define SPARSESEP_DSP_PORTION 64

// The work of a kernel's inner loops, which read this struct in assembly.
typedef struct SparsesepVectorDsp {
  // Streams: row-major kernels advance them.
  const int8_t* value;
  const uint8_t* index;
  const uint16_t* counts;
  uint32_t* acc;
  // Where the accumulators of the last block end, and where a widened vector
  // begins: each 4 inputs x0 x1 x2 x3 as words (x0, x2), (x1, x3) of int16, low
  // half first, which is what SXTB16 makes of 4 weights.
  uint32_t* acc_end;
  const int8_t* x;  // the vector where it is not widened, and its end
  const int8_t* x_end;
  int32_t input_zero_point;              // column-major blobs only
  const SparsesepPackedHeader* weights;  // of eight vectors only
} SparsesepVectorDsp;

// acc = weights * x, without bias, for the rows from `acc` to `acc_end`.
typedef void (*SparsesepMultiplyDsp)(SparsesepVectorDsp* vector);

// The head of a multiply() in assembly: r0 vector.
#define SPARSESEP_NAKED_MULTIPLY_DSP                              \
  static SPARSESEP_NAKED void multiply(SparsesepVectorDsp* vector \
                                       __attribute__((unused)))

// A whole kernel around `multiply`.
void sparsesep_run_dsp(const SparsesepPackedHeader* weights,
                       const SparsesepFullyConnectedParams* params,
                       const void* input, int32_t batch, void* output,
                       void* scratch, SparsesepMultiplyDsp multiply);

// Widens one vector, followed by zeros up to a whole block.
void sparsesep_widen_dsp(const SparsesepPackedHeader* weights,
                         const int8_t* vector, uint32_t* wide);

// Rows of a whole portion.
static inline uint32_t sparsesep_dsp_portion(
    const SparsesepPackedHeader* weights) {
  return weights->major == SPARSESEP_MAJOR_ROW &&
                 weights->rows > SPARSESEP_DSP_PORTION
             ? SPARSESEP_DSP_PORTION
             : weights->rows;
}

// Accumulators of `rows` rows, rounded up to whole blocks.
static inline uint32_t sparsesep_dsp_accumulators(
    const SparsesepPackedHeader* weights, uint32_t rows) {
  const uint32_t last = weights->block_rows - 1u;
  return (rows + last) & ~last;
}

// Scratch query: accumulators.
static inline uint32_t sparsesep_dsp_rows_bytes(
    const SparsesepPackedHeader* weights, int32_t batch) {
  (void)batch;
  return 4 *
         sparsesep_dsp_accumulators(weights, sparsesep_dsp_portion(weights));
}

// Scratch query: accumulators and a widened vector.
static inline uint32_t sparsesep_dsp_rows_and_wide_bytes(
    const SparsesepPackedHeader* weights, int32_t batch) {
  return sparsesep_dsp_rows_bytes(weights, batch) +
         2 * sparsesep_padded_cols(weights);
}

// Scratch query: accumulators and after them, where a widened vector would be,
// a word for each byte of palette codes.
static inline uint32_t sparsesep_dsp_rows_and_pairs_bytes(
    const SparsesepPackedHeader* weights, int32_t batch) {
  return sparsesep_dsp_rows_bytes(weights, batch) + 4 * 256;
}

// Vectors that the kernel of a blob multiplies at once, where fewer take as
// long.
static inline int32_t sparsesep_dsp_vectors_at_once(
    const SparsesepPackedHeader* weights) {
  const int is_eight = weights->block_rows == 1 && weights->block_cols == 1 &&
                       (weights->index_encoding == SPARSESEP_INDEX_GAP4 ||
                        (weights->index_encoding == SPARSESEP_INDEX_DELTA8 &&
                         weights->value_type == SPARSESEP_VALUE_INT8));
  return is_eight ? 8 : 1;
}

// Scratch query of kernels that multiply eight vectors at a time: see
// eight_vectors_dsp.h.
static inline uint32_t sparsesep_dsp_eight_vectors_bytes(
    const SparsesepPackedHeader* weights, int32_t batch) {
  if (batch < 4) return sparsesep_dsp_rows_bytes(weights, batch);
  return 32 * SPARSESEP_ROW_PORTION + 16 * weights->cols;
}

// The same where the vectors left of the batch need none.
static inline uint32_t sparsesep_dsp_only_eights_bytes(
    const SparsesepPackedHeader* weights, int32_t batch) {
  return batch < 4 ? 0 : sparsesep_dsp_eight_vectors_bytes(weights, batch);
}

#endif  // SPARSESEP_SPARSE_FULLY_CONNECTED_DSP_ROWS_DSP_H_
