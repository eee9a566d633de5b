// Blocks over a strip of vectors: what those kernels share. All numbers of rows
// and columns are constants at every call.
#ifndef SPARSESEP_SPARSE_FULLY_CONNECTED_NEON_LANES_NEON_H_
#define SPARSESEP_SPARSE_FULLY_CONNECTED_NEON_LANES_NEON_H_

#include "sparse_fully_connected/neon/neon.h"
#include "sparse_fully_connected/neon/strips_neon.h"

#define SPARSESEP_NEON_INLINE __attribute__((always_inline)) static inline

// acc[4] += a weight times a column of 16 vectors.
SPARSESEP_NEON_INLINE void sparsesep_multiply_lanes_neon(int16_t weight,
                                                         const int16_t* x,
                                                         int32x4_t* acc) {
  const int16x8_t low = vld1q_s16(x);
  const int16x8_t high = vld1q_s16(x + 8);
  acc[0] = vmlal_n_s16(acc[0], vget_low_s16(low), weight);
  acc[1] = vmlal_high_n_s16(acc[1], low, weight);
  acc[2] = vmlal_n_s16(acc[2], vget_low_s16(high), weight);
  acc[3] = vmlal_high_n_s16(acc[3], high, weight);
}

SPARSESEP_NEON_INLINE void sparsesep_clear_lanes_neon(int rows,
                                                      int32x4_t (*acc)[4]) {
  for (int r = 0; r < rows; ++r) {
    for (int i = 0; i < 4; ++i) acc[r][i] = vdupq_n_s32(0);
  }
}

SPARSESEP_NEON_INLINE void sparsesep_store_lanes_neon(int rows,
                                                      int32x4_t (*acc)[4],
                                                      uint32_t* sums) {
  for (int r = 0; r < rows; ++r) {
    for (int i = 0; i < 4; ++i) {
      vst1q_u32(sums + r * SPARSESEP_STRIP_VECTORS_NEON + 4 * i,
                vreinterpretq_u32_s32(acc[r][i]));
    }
  }
}

// A SparsesepMultiplyStripNeon of blocks in natural order, at columns that are
// steps of uint8, or uint16.
SPARSESEP_NEON_INLINE void sparsesep_multiply_blocks_neon(
    int rows, int cols, int is_delta, SparsesepRowStreams* streams,
    const int16_t* lanes, uint32_t groups, uint32_t* acc) {
  const size_t width = SPARSESEP_STRIP_VECTORS_NEON;
  const uint8_t* step = streams->index;
  const uint16_t* column = streams->index;
  const int8_t* value = streams->value;
  for (; groups > 0; --groups, acc += (size_t)rows * width) {
    const int16_t* x = lanes;
    int32x4_t sums[4][4];
    sparsesep_clear_lanes_neon(rows, sums);
    for (uint32_t n = *streams->counts++; n > 0; --n) {
      x = is_delta ? x + *step++ * width * (size_t)cols
                   : lanes + *column++ * width;
      for (int c = 0; c < cols; ++c) {
        for (int r = 0; r < rows; ++r) {
          sparsesep_multiply_lanes_neon(value[r * cols + c],
                                        x + (size_t)c * width, sums[r]);
        }
      }
      value += rows * cols;
    }
    sparsesep_store_lanes_neon(rows, sums, acc);
  }
  streams->index = is_delta ? (const void*)step : (const void*)column;
  streams->value = value;
}

#endif  // SPARSESEP_SPARSE_FULLY_CONNECTED_NEON_LANES_NEON_H_
