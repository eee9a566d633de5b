// Requantizes rows on Armv6-M, which multiplies 32 x 32 -> 32 bits only.
//
// 36 instructions a row where the accumulators are bounded.
#include "common/isa.h"
#include "common/rows.h"

#if SPARSESEP_HAS_V6M

// The high product is put together of four halves. With acc = ah * 2^16 + al,
// al signed, and |acc| < 2^30, the middle sum
//   ah * low + al * high + (al * low >> 16)
// stays inside 31 bits. `asrs` leaves the last bit that it shifts out in the
// carry: `adcs` rounds with it.
int8_t* sparsesep_finish_rows(const SparsesepRows* rows, uint32_t first,
                              uint32_t count, const uint32_t* acc,
                              int8_t* out) {
  if (!rows->bounded) {
    return sparsesep_finish_rows_general(rows, first, count, acc, out);
  }
  const int32_t* multiplier = rows->multiplier + first;
  int32_t row = -(int32_t)count;  // counts up to 0
  // What the loop keeps in r8 to r12 and lr.
  const uintptr_t constants[] = {
      (uintptr_t)rows->bias - (uintptr_t)rows->multiplier,
      (uintptr_t)(rows->shift + first + count),
      (uintptr_t)(out + count),
      (uintptr_t)(rows->output_zero_point - rows->activation_min),
      (uintptr_t)(rows->activation_max - rows->activation_min),
      (uintptr_t)rows->activation_min,
  };
  const uintptr_t* d = constants;
  int32_t a, b, c;
  // clang-format off
  __asm__ volatile(
      ".syntax unified\n"
      "  ldr   %[a], [%[d], #0]\n"
      "  mov   r8, %[a]\n"
      "  ldr   %[a], [%[d], #4]\n"
      "  mov   r9, %[a]\n"
      "  ldr   %[a], [%[d], #8]\n"
      "  mov   r10, %[a]\n"
      "  ldr   %[a], [%[d], #12]\n"
      "  mov   r11, %[a]\n"
      "  ldr   %[a], [%[d], #16]\n"
      "  mov   r12, %[a]\n"
      "  ldr   %[a], [%[d], #20]\n"
      "  mov   lr, %[a]\n"
      "1:\n"
      "  mov   %[b], r8\n"
      "  ldr   %[b], [%[mult], %[b]]\n"
      "  ldmia %[acc]!, {%[a]}\n"
      "  adds  %[a], %[a], %[b]\n"
      "  sxth  %[b], %[a]\n"  // al
      "  subs  %[a], %[a], %[b]\n"
      "  asrs  %[a], %[a], #16\n"  // ah
      "  ldrh  %[c], [%[mult]]\n"  // low
      "  muls  %[c], %[b], %[c]\n"
      "  asrs  %[c], %[c], #16\n"
      "  ldrh  %[d], [%[mult]]\n"  // low
      "  muls  %[d], %[a], %[d]\n"
      "  adds  %[c], %[c], %[d]\n"
      "  ldrh  %[d], [%[mult], #2]\n"  // high
      "  muls  %[b], %[d], %[b]\n"
      "  adds  %[c], %[c], %[b]\n"
      "  muls  %[d], %[a], %[d]\n"
      "  adds  %[d], %[d], %[d]\n"
      "  asrs  %[c], %[c], #15\n"
      "  adcs  %[c], %[d]\n"       // doubling high product
      "  asrs  %[d], %[c], #31\n"  // -1 makes halves go away from zero
      "  adds  %[c], %[c], %[d]\n"
      "  adds  %[mult], #4\n"
      "  mov   %[a], r9\n"
      "  ldrsb %[a], [%[a], %[row]]\n"
      "  rsbs  %[a], %[a], #0\n"
      "  mov   %[b], r11\n"
      "  asrs  %[c], %[c], %[a]\n"
      "  adcs  %[c], %[b]\n"  // counts from activation_min
      "  cmp   %[c], r12\n"
      "  bhi   3f\n"
      "2:\n"
      "  add   %[c], lr\n"
      "  mov   %[a], r10\n"
      "  strb  %[c], [%[a], %[row]]\n"
      "  adds  %[row], #1\n"
      "  bne   1b\n"
      "  b     4f\n"
      "3:\n"  // below 0: 0, above range: range
      "  asrs  %[a], %[c], #31\n"
      "  mov   %[c], r12\n"
      "  bics  %[c], %[a]\n"
      "  b     2b\n"
      "4:\n"
      : [acc] "+l"(acc), [mult] "+l"(multiplier), [row] "+l"(row), [d] "+l"(d),
        [a] "=&l"(a), [b] "=&l"(b), [c] "=&l"(c)
      :
      : "r8", "r9", "r10", "r11", "r12", "lr", "cc", "memory");
  // clang-format on
  return out + count;
}

#endif
