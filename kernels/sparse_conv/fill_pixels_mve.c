// Helium: 2 instructions for 16 bytes, 4 a pixel.
#include "common/isa.h"
#include "sparse_conv/pixels.h"

#if SPARSESEP_HAS_MVE

void sparsesep_fill_pixels(const SparsesepPixels* pixels, uint8_t* to,
                           uint8_t value, int32_t count) {
  const uint32_t bytes = pixels->bytes;
  __asm__ volatile(
      "vdup.8 q0, %[value]\n"
      "3:\n"
      "wlstp.8 lr, %[bytes], 2f\n"
      "1:\n"
      "vstrb.8 q0, [%[to]], #16\n"
      "letp lr, 1b\n"
      "2:\n"
      "add %[to], %[to], %[gap]\n"
      "subs %[count], %[count], #1\n"
      "bne 3b\n"
      : [to] "+&r"(to), [count] "+&r"(count)
      : [bytes] "r"(bytes), [value] "r"(value),
        [gap] "r"(pixels->to_step - ((bytes + 15) & ~15u))
      : "q0", "lr", "cc", "memory");
}

#endif
