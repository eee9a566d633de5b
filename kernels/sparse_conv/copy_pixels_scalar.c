#include <string.h>

#include "common/isa.h"
#include "sparse_conv/pixels.h"

#if !SPARSESEP_HAS_V6M && !SPARSESEP_HAS_V7M

void sparsesep_copy_pixels(const SparsesepPixels* pixels, uint8_t* to,
                           const uint8_t* from, int32_t count) {
  for (; count > 0; --count) {
    memcpy(to, from, pixels->bytes);
    to += pixels->to_step;
    from += pixels->from_step;
  }
}

#endif
