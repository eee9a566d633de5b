// Woven weights, two rows to an int16, in portable C.
#ifndef SPARSESEP_SPARSE_FULLY_CONNECTED_SCALAR_WOVEN_H_
#define SPARSESEP_SPARSE_FULLY_CONNECTED_SCALAR_WOVEN_H_

#include <stdint.h>

// sums[block_rows] += one block times x[4]. Unsigned, so that an accumulator
// which overflows wraps as in TFLite.
static inline void sparsesep_add_woven_block(const int8_t* value,
                                             uint32_t block_rows,
                                             const int32_t* x, uint32_t* sums) {
  for (uint32_t parity = 0; parity < 2; ++parity) {
    for (uint32_t row = 0; row < block_rows; row += 2) {
      for (uint32_t col = parity; col < 4; col += 2, value += 2) {
        const int32_t low = value[0];
        const int32_t high = value[1] + (low < 0);
        sums[row] += (uint32_t)(low * x[col]);
        sums[row + 1] += (uint32_t)(high * x[col]);
      }
    }
  }
}

#endif  // SPARSESEP_SPARSE_FULLY_CONNECTED_SCALAR_WOVEN_H_
