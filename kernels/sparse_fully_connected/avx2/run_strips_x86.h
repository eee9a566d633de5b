// Batches of vectors, such as the pixels of a convolution: a strip of vectors
// is turned so that each stands in a lane of 32 bits, and a weight that was
// read once multiplies all of them.
//
// A lane holds as many columns of its vector as one instruction adds up: 2 of
// int16 (VPMADDWD), or 4 of int8 plus 128 (VPDPBUSD). Row k of `lanes` is the
// k-th so many columns of all vectors. A load that begins one column further
// has the next column first in each lane, so that single columns need no other
// form: their weights have zeros in the rest of the lane.
//
// Vectors that overlap by whole steps share rows: column c of vector v is
// column c modulo step of the vector that begins c / step later. `offset` tells
// where columns stand.
#ifndef SPARSESEP_SPARSE_FULLY_CONNECTED_AVX2_RUN_STRIPS_X86_H_
#define SPARSESEP_SPARSE_FULLY_CONNECTED_AVX2_RUN_STRIPS_X86_H_

#include "sparse_fully_connected/avx2/wide_vector.h"

// Most vectors of a strip.
#define SPARSESEP_STRIP_VECTORS 32

typedef struct SparsesepStrip {
  const uint8_t* lanes;
  const uint32_t* offset;  // in bytes, of each run of `unit` columns
  uint32_t pitch;          // bytes from row to row
  uint32_t vectors;        // computed, a multiple of 16
} SparsesepStrip;

// As SparsesepMultiplyGroups, for all vectors of a strip: writes
// uint32 acc[rows][SPARSESEP_STRIP_VECTORS].
typedef void (*SparsesepMultiplyStrip)(SparsesepRowStreams* streams,
                                       const SparsesepStrip* strip,
                                       uint32_t groups, uint32_t* acc);

// What the kernels of one ISA expect.
typedef struct SparsesepLanes {
  uint32_t columns;  // of a lane
  int32_t least;     // vectors with which a strip is the faster way
  SparsesepMultiplyStrip multiply;
} SparsesepLanes;

// Computes vectors of the batch in strips and returns how many.
int32_t sparsesep_run_strips(const SparsesepPackedHeader* weights,
                             const SparsesepFullyConnectedParams* params,
                             const void* input, int32_t batch, void* output,
                             void* scratch, const SparsesepLanes* lanes);

// Outputs [vectors][row_count] of `count` rows, at most SPARSESEP_ROW_PORTION,
// from `first` on; `out` is the first one's output of the first vector.
void sparsesep_finish_strip_avx2(const SparsesepRows* rows, uint32_t first,
                                 uint32_t count, const uint32_t* acc,
                                 uint32_t vectors, int8_t* out,
                                 uint32_t row_count);

// A whole kernel of AVX2: `multiply` runs what strips leave.
static inline void sparsesep_run_batch_avx2(
    const SparsesepPackedHeader* weights,
    const SparsesepFullyConnectedParams* params, const void* input,
    int32_t batch, void* output, void* scratch, SparsesepMultiplyWide multiply,
    SparsesepMultiplyStrip multiply_strip) {
  const SparsesepLanes lanes = {2, 8, multiply_strip};
  const int32_t done = sparsesep_run_strips(weights, params, input, batch,
                                            output, scratch, &lanes);
  if (done == batch) return;
  sparsesep_run_avx2(
      weights, params,
      (const int8_t*)input + (size_t)done * (size_t)params->input_step,
      batch - done, (int8_t*)output + (size_t)done * weights->rows, scratch,
      multiply);
}

// Columns that `offset` has one number for.
static inline uint32_t sparsesep_offset_unit(const SparsesepPackedHeader* h) {
  return h->block_cols == 1 ? 1 : 4;
}

// Bytes of `offset`: numbers for whole blocks.
static inline uint32_t sparsesep_offset_bytes(const SparsesepPackedHeader* h) {
  return sparsesep_padded_cols(h) / sparsesep_offset_unit(h) * 4;
}

// Columns are turned 32 at a time.
#define SPARSESEP_TURNED_COLUMNS 32

static inline uint32_t sparsesep_turned_columns(uint32_t cols) {
  const uint32_t last = SPARSESEP_TURNED_COLUMNS - 1;
  return (cols + last) & ~last;
}

// Bytes of `lanes` where vectors share nothing. What they share is smaller, or
// is not shared.
static inline uint32_t sparsesep_lanes_bytes(const SparsesepPackedHeader* h,
                                             uint32_t columns) {
  return sparsesep_turned_columns(h->cols) / columns * SPARSESEP_STRIP_VECTORS *
         4;
}

// Loads of the last row may begin up to three columns late.
#define SPARSESEP_PAST_LANES 16

static inline uint32_t sparsesep_strip_bytes(const SparsesepPackedHeader* h,
                                             uint32_t columns) {
  const uint32_t strip = sparsesep_lanes_bytes(h, columns) +
                         SPARSESEP_PAST_LANES + sparsesep_offset_bytes(h);
  const uint32_t one = sparsesep_wide_vector_bytes(h, 1);
  return strip > one ? strip : one;
}

// Scratch queries.
static inline uint32_t sparsesep_batch_bytes_avx2(
    const SparsesepPackedHeader* weights, int32_t batch) {
  return batch < 2 ? sparsesep_wide_vector_bytes(weights, batch)
                   : sparsesep_strip_bytes(weights, 2);
}

static inline uint32_t sparsesep_batch_bytes_vnni(
    const SparsesepPackedHeader* weights, int32_t batch) {
  return batch < 2 ? sparsesep_wide_vector_bytes(weights, batch)
                   : sparsesep_strip_bytes(weights, 4);
}

#endif  // SPARSESEP_SPARSE_FULLY_CONNECTED_AVX2_RUN_STRIPS_X86_H_
