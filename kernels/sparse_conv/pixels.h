// Copies of pixels into a strip: each is often a few words, less than a call of
// memcpy costs.
#ifndef SPARSESEP_SPARSE_CONV_PIXELS_H_
#define SPARSESEP_SPARSE_CONV_PIXELS_H_

#include <stdint.h>

// How pixels lie in memory.
typedef struct SparsesepPixels {
  uint32_t bytes;    // of a pixel
  uint32_t to_step;  // bytes from one to the next
  uint32_t from_step;
  int are_words;  // all addresses and `bytes` are multiples of 4
} SparsesepPixels;

// Copies `count` pixels, count >= 1.
void sparsesep_copy_pixels(const SparsesepPixels* pixels, uint8_t* to,
                           const uint8_t* from, int32_t count);

// Fills `bytes` bytes, or none.
void sparsesep_fill_bytes(uint8_t* to, uint8_t value, uint32_t bytes);

#endif  // SPARSESEP_SPARSE_CONV_PIXELS_H_
