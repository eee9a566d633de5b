#include <string.h>

#include "common/isa.h"
#include "sparse_conv/pixels.h"

#if !SPARSESEP_HAS_V6M && !SPARSESEP_HAS_V7M

void sparsesep_fill_pixels(const SparsesepPixels* pixels, uint8_t* to,
                           uint8_t value, int32_t count) {
  for (; count > 0; --count, to += pixels->to_step) {
    memset(to, value, pixels->bytes);
  }
}

#endif
