// Copies of pixels side by side: each is often a few words, less than a call of
// memcpy costs.
#ifndef SPARSESEP_SPARSE_CONV_COPY_H_
#define SPARSESEP_SPARSE_CONV_COPY_H_

#include <stdint.h>
#include <string.h>

#if defined(__GNUC__)
#define SPARSESEP_MAY_ALIAS __attribute__((may_alias))
#else
#define SPARSESEP_MAY_ALIAS
#endif

typedef uint32_t SPARSESEP_MAY_ALIAS SparsesepWord;
// Compilers move such a block by LDM and STM.
typedef struct SPARSESEP_MAY_ALIAS SparsesepWords4 {
  uint32_t words[4];
} SparsesepWords4;

// How pixels lie in memory.
typedef struct SparsesepPixels {
  uint32_t bytes;    // of a pixel
  uint32_t to_step;  // from one to the next
  uint32_t from_step;
  int are_words;  // all addresses and `bytes` are multiples of 4
} SparsesepPixels;

// Copies `count` pixels, returns the end of where they went.
static inline uint8_t* sparsesep_copy_pixels(const SparsesepPixels* pixels,
                                             uint8_t* to, const uint8_t* from,
                                             int32_t count) {
  for (; count > 0; --count) {
    if (pixels->are_words) {
      SparsesepWords4* out = (SparsesepWords4*)(void*)to;
      const SparsesepWords4* in = (const SparsesepWords4*)(const void*)from;
      uint32_t bytes = pixels->bytes;
      for (; bytes >= 16; bytes -= 16) *out++ = *in++;
      // No loop, which compilers would turn into a call of memcpy.
      SparsesepWord* word = out->words;
      const SparsesepWord* rest = in->words;
      if (bytes & 8) {
        *word++ = *rest++;
        *word++ = *rest++;
      }
      if (bytes & 4) *word = *rest;
    } else {
      memcpy(to, from, pixels->bytes);
    }
    to += pixels->to_step;
    from += pixels->from_step;
  }
  return to;
}

// Fills them with bytes.
static inline uint8_t* sparsesep_fill_pixels(const SparsesepPixels* pixels,
                                             uint8_t* to, uint8_t value,
                                             int32_t count) {
  const uint32_t word = value * 0x01010101u;
  for (; count > 0; --count, to += pixels->to_step) {
    if (pixels->are_words) {
      SparsesepWord* out = (SparsesepWord*)(void*)to;
      const SparsesepWord* const end = out + pixels->bytes / 4;
      while (out != end) *out++ = word;
    } else {
      memset(to, value, pixels->bytes);
    }
  }
  return to;
}

#endif  // SPARSESEP_SPARSE_CONV_COPY_H_
