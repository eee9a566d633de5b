#include "common/clamp_dsp.h"
#include "common/isa.h"
#include "sparse_fully_connected/dsp/eight_vectors_dsp.h"
#include "sparsesep/compiler.h"

#if SPARSESEP_HAS_DSP_LAYOUTS

#include <string.h>

// Words of the accumulators of four vectors.
#define FOUR (4 * SPARSESEP_ROW_PORTION)

// Weights of a row that are never too large together: as many columns have no
// more, since only zeros may share one. And what magnitudes may add up to: the
// last three weights are taken for the largest.
enum { FEW_WEIGHTS = 255, MOST_MAGNITUDE = 0x7fff - 3 * 128 };

// USADA8 sums four of them.
static uint32_t magnitude_of_fours(const int8_t* weights, uint32_t count) {
  const uint32_t zeros = 0x80808080;
  uint32_t sum = 0;
  for (const int8_t* const end = weights + (count & ~3u); weights != end;
       weights += 4) {
    uint32_t four;
    memcpy(&four, weights, 4);
    four ^= zeros;
    __asm__("usada8 %0, %1, %2, %0" : "+r"(sum) : "r"(four), "r"(zeros));
  }
  return sum;
}

// Whether sums of two vectors fit 64 bits.
SPARSESEP_COLD
static int do_sums_fit(const SparsesepPackedHeader* weights) {
  if (weights->cols <= FEW_WEIGHTS) return 1;
  const uint16_t* const counts =
      sparsesep_section(weights, weights->counts_offset);
  const int8_t* value = sparsesep_section(weights, weights->value_offset);
  const int is_int8 = weights->value_type == SPARSESEP_VALUE_INT8;
  for (uint32_t row = 0; row < weights->rows; ++row) {
    const uint32_t count = counts[row];
    if (count > FEW_WEIGHTS &&
        (!is_int8 || magnitude_of_fours(value, count) > MOST_MAGNITUDE)) {
      return 0;
    }
    value += count;
  }
  return 1;
}

SPARSESEP_COLD
int32_t sparsesep_multiply_eights_dsp(
    const SparsesepPackedHeader* weights,
    const SparsesepFullyConnectedParams* params, const int8_t* input,
    int32_t batch, int8_t* output, uint32_t* scratch,
    SparsesepMultiplyEightDsp multiply_eight) {
  if (batch < 4 || !do_sums_fit(weights)) return 0;
  const SparsesepRows rows = sparsesep_rows(weights, params);
  const uint32_t row_count = weights->rows;
  if (batch % 8 == 1) --batch;
  uint32_t* const wide = scratch + 2 * FOUR;
  SparsesepVectorDsp vectors;
  vectors.weights = weights;
  vectors.acc_end = wide;
  for (int32_t done = 0; done < batch; done += 8) {
    // Two times four vectors. The last ones may be of an earlier pass or of
    // both fours: outputs are written again.
    int32_t at[2] = {done, batch - 4};
    if (at[0] > batch - 8) at[0] = batch < 8 ? 0 : batch - 8;
    if (at[1] > at[0] + 4) at[1] = at[0] + 4;
    for (int n = 0; n < 2; ++n) {
      sparsesep_interleave_four_dsp(input + at[n] * params->input_step,
                                    weights->cols, (uint32_t)params->input_step,
                                    wide + 2 * n);
    }
    vectors.value = sparsesep_section(weights, weights->value_offset);
    vectors.index = sparsesep_section(weights, weights->index_offset);
    vectors.counts = sparsesep_section(weights, weights->counts_offset);
    for (uint32_t row = 0; row < row_count; row += SPARSESEP_ROW_PORTION) {
      const uint32_t count = sparsesep_portion(row_count - row);
      uint32_t* const acc = scratch + FOUR - 4 * count;
      vectors.acc = acc;
      multiply_eight(&vectors);
      for (int n = 0; n < 2; ++n) {
        int8_t* const out = output + (uint32_t)at[n] * row_count;
        sparsesep_finish_four_dsp(&rows, row, count, acc + n * FOUR, out + row,
                                  row_count);
      }
    }
    for (int n = 0; n < 2; ++n) {
      int8_t* const out = output + (uint32_t)at[n] * row_count;
      sparsesep_clamp_dsp(&rows, out, out + 4 * row_count);
    }
  }
  return batch;
}

SPARSESEP_COLD
void sparsesep_run_eight_vectors_dsp(
    const SparsesepPackedHeader* weights,
    const SparsesepFullyConnectedParams* params, const void* input,
    int32_t batch, void* output, void* scratch, SparsesepMultiplyDsp multiply,
    SparsesepMultiplyEightDsp multiply_eight) {
  const int8_t* const x = input;
  int8_t* const out = output;
  const int32_t done = sparsesep_multiply_eights_dsp(
      weights, params, x, batch, out, scratch, multiply_eight);
  sparsesep_run_dsp(weights, params, x + done * params->input_step,
                    batch - done, out + (uint32_t)done * weights->rows, scratch,
                    multiply);
}

#endif
