// The number of the lowest bit of a word that is set.
#ifndef SPARSESEP_SPARSE_FULLY_CONNECTED_SCALAR_LOWEST_BIT_H_
#define SPARSESEP_SPARSE_FULLY_CONNECTED_SCALAR_LOWEST_BIT_H_

#include <stdint.h>

#include "common/isa.h"

#if defined(__GNUC__) && !SPARSESEP_HAS_V6M

static inline uint32_t sparsesep_lowest_bit(uint32_t bits) {
  return (uint32_t)__builtin_ctz(bits);
}

#else

// A de Bruijn sequence of order 5 has every group of five bits once: a power of
// two moves the group that tells its exponent to the top.
static inline uint32_t sparsesep_lowest_bit(uint32_t bits) {
  static const uint8_t exponent[32] = {
      0,  1,  28, 2,  29, 14, 24, 3, 30, 22, 20, 15, 25, 17, 4,  8,
      31, 27, 13, 23, 21, 19, 16, 7, 26, 12, 18, 6,  11, 5,  10, 9};
  return exponent[(bits & (0u - bits)) * 0x077cb531u >> 27];
}

#endif

#endif  // SPARSESEP_SPARSE_FULLY_CONNECTED_SCALAR_LOWEST_BIT_H_
