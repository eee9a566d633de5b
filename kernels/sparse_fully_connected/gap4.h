// Reads the stream of SPARSESEP_INDEX_GAP4.
#ifndef SPARSESEP_SPARSE_FULLY_CONNECTED_GAP4_H_
#define SPARSESEP_SPARSE_FULLY_CONNECTED_GAP4_H_

#include <stdint.h>

// Tiles to pass over before the next block. `nibbles` counts those read of the
// group that starts at `gaps`.
static inline uint32_t sparsesep_next_gap(const uint8_t* gaps,
                                          uint32_t* nibbles) {
  uint32_t total = 0;
  uint32_t gap;
  do {
    const uint32_t at = (*nibbles)++;
    gap = (uint32_t)gaps[at / 2] >> (at % 2 * 4) & 15u;
    total += gap;
  } while (gap == 15);
  return total;
}

#endif  // SPARSESEP_SPARSE_FULLY_CONNECTED_GAP4_H_
