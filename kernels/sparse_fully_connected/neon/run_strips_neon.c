#include "common/isa.h"

#if SPARSESEP_HAS_NEON

#include "sparse_fully_connected/neon/neon.h"
#include "sparse_fully_connected/neon/strips_neon.h"

// Vectors with which a strip is the faster way.
#define LEAST_VECTORS 6

#define LANES SPARSESEP_STRIP_VECTORS_NEON

// Turns a square: row[v] is eight columns of vector v.
static inline void turn_eight(const int8x8_t* row, int16_t* lanes) {
  int8x8_t one[8];
  int16x4_t two[8];
  for (int i = 0; i < 8; i += 2) {
    one[i] = vtrn1_s8(row[i], row[i + 1]);
    one[i + 1] = vtrn2_s8(row[i], row[i + 1]);
  }
  for (int i = 0; i < 8; i += 4) {
    for (int k = i; k < i + 2; ++k) {
      const int16x4_t a = vreinterpret_s16_s8(one[k]);
      const int16x4_t b = vreinterpret_s16_s8(one[k + 2]);
      two[k] = vtrn1_s16(a, b);
      two[k + 2] = vtrn2_s16(a, b);
    }
  }
  for (int k = 0; k < 4; ++k) {
    const int32x2_t a = vreinterpret_s32_s16(two[k]);
    const int32x2_t b = vreinterpret_s32_s16(two[k + 4]);
    vst1q_s16(lanes + k * LANES,
              vmovl_s8(vreinterpret_s8_s32(vtrn1_s32(a, b))));
    vst1q_s16(lanes + (k + 4) * LANES,
              vmovl_s8(vreinterpret_s8_s32(vtrn2_s32(a, b))));
  }
}

// Eight columns of a vector, zeros after the last of `cols`.
static inline int8x8_t eight_columns(const int8_t* x, uint32_t cols) {
  if (cols >= 8) return vld1_s8(x);
  int8_t rest[8] = {0};
  memcpy(rest, x, cols);
  return vld1_s8(rest);
}

// Turns `count` vectors and repeats the last one in the lanes that are left.
static void turn(const SparsesepPackedHeader* weights, const int8_t* x,
                 uint32_t step, uint32_t count, int16_t* lanes) {
  const uint32_t cols = weights->cols;
  const uint32_t end = sparsesep_padded_cols(weights);
  for (uint32_t c = 0; c < end; c += 8) {
    for (uint32_t first = 0; first < LANES; first += 8) {
      int8x8_t row[8];
      for (uint32_t v = 0; v < 8; ++v) {
        const uint32_t at = first + v < count ? first + v : count - 1;
        const uint32_t left = c < cols ? cols - c : 0;
        row[v] =
            eight_columns(x + (size_t)at * step + (left > 0 ? c : 0), left);
      }
      turn_eight(row, lanes + (size_t)c * LANES + first);
    }
  }
}

static void run_strip(const SparsesepPackedHeader* weights,
                      const SparsesepRows* rows, const int16_t* lanes,
                      uint32_t vectors, int8_t* out,
                      SparsesepMultiplyStripNeon multiply) {
  SparsesepRowStreams streams = {
      sparsesep_section(weights, weights->counts_offset),
      sparsesep_section(weights, weights->index_offset),
      sparsesep_section(weights, weights->value_offset), weights};
  for (uint32_t row = 0; row < weights->rows; row += SPARSESEP_ROW_PORTION) {
    uint32_t acc[SPARSESEP_ROW_PORTION * LANES];
    const uint32_t count = sparsesep_portion(weights->rows - row);
    multiply(&streams, lanes,
             (count + weights->block_rows - 1) / weights->block_rows, acc);
    for (uint32_t v = 0; v < vectors; ++v) {
      uint32_t sums[SPARSESEP_ROW_PORTION];
      for (uint32_t r = 0; r < count; ++r) sums[r] = acc[r * LANES + v];
      sparsesep_finish_rows(rows, row, count, sums,
                            out + (size_t)v * weights->rows + row);
    }
  }
}

int32_t sparsesep_run_strips_neon(const SparsesepPackedHeader* weights,
                                  const SparsesepFullyConnectedParams* params,
                                  const void* input, int32_t batch,
                                  void* output, void* scratch,
                                  SparsesepMultiplyStripNeon multiply) {
  const SparsesepRows rows = sparsesep_rows(weights, params);
  const uint32_t step = (uint32_t)params->input_step;
  const int8_t* x = input;
  int8_t* out = output;
  int32_t done = 0;
  while (batch - done >= LEAST_VECTORS) {
    const uint32_t left = (uint32_t)(batch - done);
    const uint32_t vectors = left < LANES ? left : LANES;
    turn(weights, x, step, vectors, scratch);
    run_strip(weights, &rows, scratch, vectors, out, multiply);
    x += (size_t)vectors * step;
    out += (size_t)vectors * weights->rows;
    done += (int32_t)vectors;
  }
  return done;
}

#endif  // SPARSESEP_HAS_NEON
