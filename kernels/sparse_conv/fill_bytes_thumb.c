// Armv6-M and what builds upon it: 5 instructions for 8 bytes. The memset of
// small C libraries takes 3 for each byte.
#include <string.h>

#include "common/isa.h"
#include "sparse_conv/pixels.h"
#include "sparsesep/compiler.h"

#if (SPARSESEP_HAS_V6M || SPARSESEP_HAS_V7M) && !SPARSESEP_HAS_MVE

SPARSESEP_COLD
void sparsesep_fill_bytes(uint8_t* to, uint8_t value, uint32_t bytes) {
  if (bytes == 0 || (((uintptr_t)to | bytes) & 7) != 0) {
    memset(to, value, bytes);
    return;
  }
  // STM takes registers in ascending order.
  register const uint32_t word __asm__("r2") = value * 0x01010101u;
  register const uint32_t next __asm__("r3") = word;
  uint8_t* const end = to + bytes;
  do {
    __asm__ volatile("stmia %0!, {%1, %2}"
                     : "+l"(to)
                     : "l"(word), "l"(next)
                     : "memory");
  } while (to != end);
}

#endif
