// Requantizes two interleaved rows of several vectors, for the DSP extension.
#ifndef SPARSESEP_COMMON_FINISH_PAIR_DSP_H_
#define SPARSESEP_COMMON_FINISH_PAIR_DSP_H_

#include <stddef.h>

#include "common/rows.h"
#include "sparsesep/compiler.h"

// What the pairs of rows of a pass share. Assembly reads the words and moves
// the first four on.
typedef struct SparsesepRowPairsDsp {
  const int32_t* bias;
  const int32_t* multiplier;
  const int8_t* shift;
  int8_t* out;
  int32_t zero_point;
  uint32_t stride;     // bytes from one vector's outputs to the next one's
  uint32_t* sums;      // [vectors][2]: of the low row, and mixed
  uint32_t* sums_end;  // there the widened vectors begin
  uint32_t step;       // bytes from one tile's columns to the next one's
} SparsesepRowPairsDsp;

// Writes the outputs of two rows from their sums, for an even number of
// vectors. Returns 0, having written none, where a shift is by less than two.
int sparsesep_finish_pair_dsp(SparsesepRowPairsDsp* pairs);

// The same for any shifts, after sparsesep_finish_pair_dsp() has moved on.
SPARSESEP_COLD
static inline void sparsesep_finish_any_pair_dsp(
    const SparsesepRows* rows, uint32_t row,
    const SparsesepRowPairsDsp* pairs) {
  int8_t* out = pairs->out - 2;
  for (const uint32_t* sums = pairs->sums; sums != pairs->sums_end; sums += 2) {
    const uint32_t acc[2] = {sums[0],
                             (uint32_t)((int32_t)(sums[1] - sums[0]) >> 8)};
    sparsesep_finish_rows_general(rows, row, 2, acc, out);
    out += pairs->stride;
  }
}

#endif  // SPARSESEP_COMMON_FINISH_PAIR_DSP_H_
