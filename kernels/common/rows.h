// What every row-major int8 kernel does around its inner loop: the sections of
// a blob, and the way from an accumulator to an output.
#ifndef SPARSESEP_COMMON_ROWS_H_
#define SPARSESEP_COMMON_ROWS_H_

#include "sparsesep/packed_weights.h"
#include "sparsesep/requantize.h"
#include "sparsesep/sparsesep.h"

// Everything that is needed to finish rows, in one place so that a kernel's
// loop keeps one pointer.
typedef struct SparsesepRows {
  const int32_t* bias;
  const int32_t* multiplier;
  const int8_t* shift;
  int32_t output_zero_point;
  int32_t activation_min;
  int32_t activation_max;
  uint32_t bounded;  // sparsesep_is_bounded()
} SparsesepRows;

SparsesepRows sparsesep_rows(const SparsesepPackedHeader* weights,
                             const SparsesepFullyConnectedParams* params);

// Kernels hand accumulators over in portions of at most this many rows.
#define SPARSESEP_ROW_PORTION 16

static inline uint32_t sparsesep_portion(uint32_t rows) {
  return rows < SPARSESEP_ROW_PORTION ? rows : SPARSESEP_ROW_PORTION;
}

// Outputs of `count` rows from `first` on, count >= 1, from their accumulators
// without bias. Returns the end of what was written.
int8_t* sparsesep_finish_rows(const SparsesepRows* rows, uint32_t first,
                              uint32_t count, const uint32_t* acc, int8_t* out);

// The same without inline assembly, for every blob.
int8_t* sparsesep_finish_rows_general(const SparsesepRows* rows, uint32_t first,
                                      uint32_t count, const uint32_t* acc,
                                      int8_t* out);

// The output of `row` from its accumulator, bias included.
static inline int8_t sparsesep_finish_row(const SparsesepRows* rows,
                                          uint32_t row, uint32_t acc) {
  const int32_t multiplier = rows->multiplier[row];
  const int32_t shift = rows->shift[row];
  const int32_t value =
      rows->bounded ? sparsesep_requantize_bounded(acc, multiplier, shift)
                    : sparsesep_requantize(acc, multiplier, shift);
  return sparsesep_clamp_to_int8(value, rows->output_zero_point,
                                 rows->activation_min, rows->activation_max);
}

#endif  // SPARSESEP_COMMON_ROWS_H_
