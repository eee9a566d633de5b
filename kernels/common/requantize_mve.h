#ifndef SPARSESEP_COMMON_REQUANTIZE_MVE_H_
#define SPARSESEP_COMMON_REQUANTIZE_MVE_H_

#include "common/rows.h"

// output[n] = requantized acc[n], of `count` rows from `first` on. acc includes
// the bias. Touches nothing beyond these rows.
void sparsesep_requantize_rows_mve(const SparsesepRows* rows, uint32_t first,
                                   uint32_t count, const int32_t* acc,
                                   int8_t* output);

#endif  // SPARSESEP_COMMON_REQUANTIZE_MVE_H_
