// Sums of two int8 tensors (sparse_conv.h), for each ISA.
//
// The operand of the smaller scale takes only 256 values: a table holds what
// they add, so that one requantization is left for each sum. Table and operand
// of the larger scale count twice, which is exact: the doubling high product of
// the sum is then the high word of a product.
#ifndef SPARSESEP_SPARSE_CONV_RESIDUAL_H_
#define SPARSESEP_SPARSE_CONV_RESIDUAL_H_

#include <stdint.h>

#include "sparsesep/sparse_conv.h"

typedef struct SparsesepAddition {
  const int32_t* table;  // by the byte of the narrow operand; zero points too
  int32_t multiplier;
  int32_t shift;     // to the right, 1..SPARSESEP_FAST_ADDITION_SHIFT
  int32_t rounding;  // half of the last place, and the zero point of sums
} SparsesepAddition;

// Larger shifts leave no room for the zero point in `rounding`.
#define SPARSESEP_FAST_ADDITION_SHIFT 22

// Writes the sums of `wide` and `narrow`, one of which may be `out`, rounded
// twice and limited to int8.
void sparsesep_add_operands(const SparsesepAddition* addition,
                            const int8_t* wide, const int8_t* narrow,
                            int8_t* out, size_t count);

#endif  // SPARSESEP_SPARSE_CONV_RESIDUAL_H_
