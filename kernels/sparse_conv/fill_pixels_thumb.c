// Armv6-M and what builds upon it: 3 instructions for 16 bytes, 3 for each word
// behind them, 8 a pixel.
#include <stddef.h>
#include <string.h>

#include "common/isa.h"
#include "sparse_conv/pixels.h"

#if (SPARSESEP_HAS_V6M || SPARSESEP_HAS_V7M) && !SPARSESEP_HAS_MVE

_Static_assert(offsetof(SparsesepPixels, bytes) == 0 &&
                   offsetof(SparsesepPixels, to_step) == 4,
               "assembly reads words");

// r0 bytes left of a pixel, r1 to, r3 pixels left, r4-r7 words, r12 from the
// end of a pixel to the next, lr bytes of a pixel: a multiple of 4.
__attribute__((naked)) static void fill_words(
    const SparsesepPixels* pixels __attribute__((unused)),
    uint8_t* to __attribute__((unused)), uint32_t word __attribute__((unused)),
    int32_t count __attribute__((unused))) {
  __asm__ volatile(
      ".syntax unified\n"  // gcc takes Thumb-1 assembly for the older syntax
      "  push  {r4-r7, lr}\n"
      "  ldmia r0!, {r4, r5}\n"
      "  mov   lr, r4\n"
      "  subs  r5, r5, r4\n"
      "  mov   r12, r5\n"
      "  mov   r4, r2\n"
      "  mov   r5, r2\n"
      "  mov   r6, r2\n"
      "  mov   r7, r2\n"
      "1:\n"
      "  mov   r0, lr\n"
      "  subs  r0, r0, #16\n"
      "  blo   3f\n"
      "2:\n"
      "  stmia r1!, {r4, r5, r6, r7}\n"
      "  subs  r0, r0, #16\n"
      "  bhs   2b\n"
      "3:\n"
      "  adds  r0, r0, #16\n"
      "  beq   5f\n"
      "4:\n"
      "  stmia r1!, {r4}\n"
      "  subs  r0, r0, #4\n"
      "  bne   4b\n"
      "5:\n"
      "  add   r1, r12\n"
      "  subs  r3, r3, #1\n"
      "  bne   1b\n"
      "  pop   {r4-r7, pc}\n");
}

void sparsesep_fill_pixels(const SparsesepPixels* pixels, uint8_t* to,
                           uint8_t value, int32_t count) {
  if (pixels->are_words) {
    fill_words(pixels, to, value * 0x01010101u, count);
    return;
  }
  for (; count > 0; --count, to += pixels->to_step) {
    memset(to, value, pixels->bytes);
  }
}

#endif
