#include <string.h>

#include "common/isa.h"
#include "sparse_conv/pixels.h"

#if !SPARSESEP_HAS_V6M && !SPARSESEP_HAS_V7M

void sparsesep_fill_bytes(uint8_t* to, uint8_t value, uint32_t bytes) {
  memset(to, value, bytes);
}

#endif
