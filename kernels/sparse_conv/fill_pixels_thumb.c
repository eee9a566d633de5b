#include <string.h>

#include "common/isa.h"
#include "sparse_conv/pixels.h"

#if (SPARSESEP_HAS_V6M || SPARSESEP_HAS_V7M) && !SPARSESEP_HAS_MVE

typedef uint32_t __attribute__((may_alias)) Word;

// `to` and `bytes` are multiples of 4.
static void fill_words(uint8_t* to, uint32_t word, uint32_t bytes) {
  Word* out = (Word*)(void*)to;
  for (; bytes >= 16; bytes -= 16, out += 4) {
    out[0] = word;
    out[1] = word;
    out[2] = word;
    out[3] = word;
  }
  for (; bytes > 0; bytes -= 4) *out++ = word;
}

void sparsesep_fill_pixels(const SparsesepPixels* pixels, uint8_t* to,
                           uint8_t value, int32_t count) {
  const uint32_t word = value * 0x01010101u;
  for (; count > 0; --count, to += pixels->to_step) {
    if (pixels->are_words) {
      fill_words(to, word, pixels->bytes);
    } else {
      memset(to, value, pixels->bytes);
    }
  }
}

#endif
