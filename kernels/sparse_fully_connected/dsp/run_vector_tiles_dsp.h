// The frame of 4x4 kernels for the DSP extension that keep a block in registers
// while vectors pass by, and a row's parameters while it is requantized.
//
// Scratch: sums[vectors][2] of two rows; after them the vectors, widened:
// uint32 [columns / 4][vectors][2], as rows_dsp.h tells.
#ifndef SPARSESEP_SPARSE_FULLY_CONNECTED_DSP_RUN_VECTOR_TILES_DSP_H_
#define SPARSESEP_SPARSE_FULLY_CONNECTED_DSP_RUN_VECTOR_TILES_DSP_H_

#include "sparse_fully_connected/dsp/rows_dsp.h"

// Vectors of a pass, at most; and bytes that they may take, widened.
#define SPARSESEP_DSP_TILE_VECTORS 16
#define SPARSESEP_DSP_TILE_BYTES 4096u

// Vectors of a pass over the blob where `batch` are left: an even number, 0
// where they should be multiplied one by one.
static inline uint32_t sparsesep_tile_vectors_dsp(
    const SparsesepPackedHeader* weights, int32_t batch) {
  if (weights->cols % 4 != 0 || weights->rows % 2 != 0) return 0;
  uint32_t vectors = SPARSESEP_DSP_TILE_BYTES / (2 * weights->cols);
  if (vectors < 4) return 0;
  if (vectors > SPARSESEP_DSP_TILE_VECTORS) {
    vectors = SPARSESEP_DSP_TILE_VECTORS;
  }
  if (vectors > (uint32_t)batch) vectors = (uint32_t)batch;
  // What a block costs once, few vectors do not make up for.
  if (4 * weights->blocks > vectors * weights->rows) return 0;
  return vectors & ~1u;
}

// The part of the kernel below for batches of two and more.
void sparsesep_run_whole_vector_tiles_dsp(
    const SparsesepPackedHeader* weights,
    const SparsesepFullyConnectedParams* params, const void* input,
    int32_t batch, void* output, void* scratch, SparsesepMultiplyDsp multiply);

// A whole kernel of 4x4 blocks, uint8 steps, interleaved int8 values:
// `multiply` for what is left of the batch, and where there are no tiles.
static inline void sparsesep_run_vector_tiles_dsp(
    const SparsesepPackedHeader* weights,
    const SparsesepFullyConnectedParams* params, const void* input,
    int32_t batch, void* output, void* scratch, SparsesepMultiplyDsp multiply) {
  if (batch < 2) {
    sparsesep_run_dsp(weights, params, input, batch, output, scratch, multiply);
    return;
  }
  sparsesep_run_whole_vector_tiles_dsp(weights, params, input, batch, output,
                                       scratch, multiply);
}

// Scratch query of kernels that do.
static inline uint32_t sparsesep_dsp_vector_tile_bytes(
    const SparsesepPackedHeader* weights, int32_t batch) {
  const uint32_t one = sparsesep_dsp_rows_and_wide_bytes(weights, batch);
  const uint32_t many =
      sparsesep_tile_vectors_dsp(weights, batch) * (8 + 2 * weights->cols);
  return many > one ? many : one;
}

#endif  // SPARSESEP_SPARSE_FULLY_CONNECTED_DSP_RUN_VECTOR_TILES_DSP_H_
