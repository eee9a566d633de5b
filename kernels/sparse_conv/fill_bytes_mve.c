// Helium: 2 instructions for 16 bytes.
#include "common/isa.h"
#include "sparse_conv/pixels.h"

#if SPARSESEP_HAS_MVE

void sparsesep_fill_bytes(uint8_t* to, uint8_t value, uint32_t bytes) {
  __asm__ volatile(
      "vdup.8 q0, %[value]\n"
      "wlstp.8 lr, %[bytes], 2f\n"
      "1:\n"
      "vstrb.8 q0, [%[to]], #16\n"
      "letp lr, 1b\n"
      "2:\n"
      : [to] "+&r"(to)
      : [bytes] "r"(bytes), [value] "r"(value)
      : "q0", "lr", "cc", "memory");
}

#endif
