// Short copies: a pixel is often a few words, less than a call costs.
#ifndef SPARSESEP_SPARSE_CONV_COPY_H_
#define SPARSESEP_SPARSE_CONV_COPY_H_

#include <stdint.h>
#include <string.h>

#if defined(__GNUC__)
typedef uint32_t __attribute__((may_alias)) SparsesepWord;
#else
typedef uint32_t SparsesepWord;
#endif

static inline int sparsesep_are_words(const void* to, const void* from,
                                      uint32_t bytes) {
  return (((uintptr_t)to | (uintptr_t)from | bytes) & 3) == 0;
}

static inline void sparsesep_copy(void* to, const void* from, uint32_t bytes) {
  if (!sparsesep_are_words(to, from, bytes)) {
    memcpy(to, from, bytes);
    return;
  }
  SparsesepWord* out = to;
  const SparsesepWord* in = from;
  for (; bytes >= 16; bytes -= 16, in += 4, out += 4) {
    const uint32_t a = in[0], b = in[1], c = in[2], d = in[3];
    out[0] = a;
    out[1] = b;
    out[2] = c;
    out[3] = d;
  }
  for (; bytes > 0; bytes -= 4) *out++ = *in++;
}

static inline void sparsesep_fill(void* to, int value, uint32_t bytes) {
  memset(to, value, bytes);
}

#endif  // SPARSESEP_SPARSE_CONV_COPY_H_
