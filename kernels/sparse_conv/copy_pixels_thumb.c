// Armv6-M and what builds upon it: 4 instructions for 16 bytes, 4 for each word
// behind them, 11 a pixel.
#include <string.h>

#include "common/isa.h"
#include "sparse_conv/pixels.h"

#if (SPARSESEP_HAS_V6M || SPARSESEP_HAS_V7M) && !SPARSESEP_HAS_MVE

// r0 to, r1 from, r2 bytes in blocks, r3 where the pixel ends, r4-r7 words; r8
// where the last pixel's successor begins, r9 bytes behind blocks, r12 and lr
// steps from the end of a pixel to the next, of `to` and `from`.
__attribute__((naked)) static void copy_words(
    uint8_t* to __attribute__((unused)),
    const uint8_t* from __attribute__((unused)),
    uint32_t bytes __attribute__((unused)),
    const uint8_t* from_end __attribute__((unused)),
    uint32_t to_gap __attribute__((unused)),
    uint32_t from_gap __attribute__((unused))) {
  __asm__ volatile(
      ".syntax unified\n"  // gcc takes Thumb-1 assembly for the older syntax
      "  push  {r4-r7, lr}\n"
      "  mov   r4, r8\n"
      "  mov   r5, r9\n"
      "  push  {r4, r5}\n"
      "  mov   r8, r3\n"
      "  ldr   r4, [sp, #28]\n"
      "  mov   r12, r4\n"
      "  ldr   r4, [sp, #32]\n"
      "  mov   lr, r4\n"
      "  movs  r4, #15\n"
      "  ands  r4, r4, r2\n"
      "  subs  r2, r2, r4\n"
      "  mov   r9, r4\n"
      "1:\n"
      "  adds  r3, r1, r2\n"
      "  cmp   r1, r3\n"
      "  beq   3f\n"
      "2:\n"
      "  ldmia r1!, {r4, r5, r6, r7}\n"
      "  stmia r0!, {r4, r5, r6, r7}\n"
      "  cmp   r1, r3\n"
      "  bne   2b\n"
      "3:\n"
      "  add   r3, r9\n"
      "  cmp   r1, r3\n"
      "  beq   5f\n"
      "4:\n"
      "  ldmia r1!, {r4}\n"
      "  stmia r0!, {r4}\n"
      "  cmp   r1, r3\n"
      "  bne   4b\n"
      "5:\n"
      "  add   r0, r12\n"
      "  add   r1, lr\n"
      "  cmp   r1, r8\n"
      "  bne   1b\n"
      "  pop   {r4, r5}\n"
      "  mov   r8, r4\n"
      "  mov   r9, r5\n"
      "  pop   {r4-r7, pc}\n");
}

void sparsesep_copy_pixels(const SparsesepPixels* pixels, uint8_t* to,
                           const uint8_t* from, int32_t count) {
  const uint32_t bytes = pixels->bytes;
  const uint32_t step = pixels->from_step;
  if (pixels->are_words) {
    copy_words(to, from, bytes, from + (uint32_t)count * step,
               pixels->to_step - bytes, step - bytes);
    return;
  }
  for (; count > 0; --count) {
    memcpy(to, from, bytes);
    to += pixels->to_step;
    from += step;
  }
}

#endif
