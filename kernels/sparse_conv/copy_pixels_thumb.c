// Armv6-M and what builds upon it: 4 instructions for 16 bytes, 4 for each word
// behind them, 11 a pixel. Pixels that are no words: 4 a byte and 5
// a pixel.
#include <stddef.h>

#include "common/isa.h"
#include "sparse_conv/pixels.h"
#include "sparsesep/compiler.h"

#if (SPARSESEP_HAS_V6M || SPARSESEP_HAS_V7M) && !SPARSESEP_HAS_MVE

_Static_assert(offsetof(SparsesepPixels, bytes) == 0 &&
                   offsetof(SparsesepPixels, to_step) == 4 &&
                   offsetof(SparsesepPixels, from_step) == 8,
               "assembly reads words");

// r0 to, r1 from, r2 bytes in blocks, r3 where the pixel ends, r4-r7 words; r8
// where the last pixel's successor begins, r9 bytes behind blocks, r12 and lr
// steps from the end of a pixel to the next, of `to` and `from`.
SPARSESEP_NAKED static void copy_words(const SparsesepPixels* pixels
                                       __attribute__((unused)),
                                       uint8_t* to __attribute__((unused)),
                                       const uint8_t* from
                                       __attribute__((unused)),
                                       int32_t count __attribute__((unused))) {
  __asm__ volatile(
      ".syntax unified\n"  // gcc takes Thumb-1 assembly for the older syntax
      "  push  {r4-r7, lr}\n"
      "  mov   r4, r8\n"
      "  mov   r5, r9\n"
      "  push  {r4, r5}\n"
      "  ldmia r0!, {r4, r5, r6}\n"
      "  muls  r3, r6, r3\n"
      "  adds  r3, r3, r2\n"
      "  mov   r8, r3\n"
      "  subs  r5, r5, r4\n"
      "  mov   r12, r5\n"
      "  subs  r6, r6, r4\n"
      "  mov   lr, r6\n"
      "  mov   r0, r1\n"
      "  mov   r1, r2\n"
      "  movs  r2, #15\n"
      "  ands  r2, r2, r4\n"
      "  mov   r9, r2\n"
      "  subs  r2, r4, r2\n"
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
  if (pixels->are_words) {
    copy_words(pixels, to, from, count);
    return;
  }
  const uint32_t bytes = pixels->bytes;
  const uint32_t to_gap = pixels->to_step - bytes;
  const uint32_t from_gap = pixels->from_step - bytes;
  for (; count > 0; --count) {
    const uint8_t* end = from + bytes;
    do {
      *to++ = *from++;
      SPARSESEP_HIDE(end);  // or compilers call memcpy
    } while (from != end);
    to += to_gap;
    from += from_gap;
  }
}

#endif
