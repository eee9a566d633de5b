// 1x1 blocks, 4-bit gaps, values out of a palette of 16: Armv7-M.
//
// 10.5 instructions a nonzero, and 4.5 for each gap of 15.
#include "isa.h"
#include "row_groups.h"
#include "variants.h"

#if SPARSESEP_HAS_V7M

// clang-format off

// Gaps and codes come two a byte, and escapes let one run ahead of the other:
// each of the four combinations has its own piece of code. In names, L and H
// are low and high nibbles, first of the gap, then of the code.
#define LOW_GAP                          \
  "  ldrb  %[byte], [%[gaps]], #1\n"     \
  "  and   %[a], %[byte], #15\n"         \
  "  add   %[x], %[x], %[a]\n"           \
  "  cmp   %[a], #15\n"

#define HIGH_GAP                         \
  "  add   %[x], %[x], %[byte], lsr #4\n" \
  "  cmp   %[byte], #0xf0\n"

#define LOW_CODE                         \
  "  ldrb  %[codes], [%[code]], #1\n"    \
  "  and   %[w], %[codes], #15\n"

#define HIGH_CODE                        \
  "  lsr   %[w], %[codes], #4\n"

#define NONZERO                          \
  "  ldrsb %[a], [%[x]], #1\n"           \
  "  ldrsb %[w], [%[palette], %[w]]\n"   \
  "  mla   %[sum], %[w], %[a], %[sum]\n" \
  "  subs  %[count], %[count], #1\n"

static void multiply(SparsesepRowStreams* streams, const int8_t* vector,
                     uint32_t groups, uint32_t* acc) {
  const uint8_t* gaps = streams->index;
  const uint8_t* code = streams->value;
  const int8_t* const palette =
      sparsesep_section(streams->weights, streams->weights->palette_offset);
  for (; groups > 0; --groups) {
    uint32_t count = *streams->counts++;
    const int8_t* x = vector;
    uint32_t sum = 0;
    int32_t byte, codes, a, w;
    __asm__ volatile(
        "  cmp   %[count], #0\n"
        "  beq   5f\n"
        "1:\n"  // LL
        LOW_GAP
        "  beq   4f\n"
        LOW_CODE
        NONZERO
        "  beq   5f\n"
        "2:\n"  // HH
        HIGH_GAP
        "  bhs   3f\n"
        HIGH_CODE
        NONZERO
        "  bne   1b\n"
        "  b     5f\n"
        "3:\n"  // LH
        LOW_GAP
        "  beq   2b\n"
        HIGH_CODE
        NONZERO
        "  beq   5f\n"
        "4:\n"  // HL
        HIGH_GAP
        "  bhs   1b\n"
        LOW_CODE
        NONZERO
        "  bne   3b\n"
        "5:\n"
        : [gaps] "+r"(gaps), [code] "+r"(code), [x] "+r"(x),
          [count] "+r"(count), [sum] "+r"(sum), [byte] "=&r"(byte),
          [codes] "=&r"(codes), [a] "=&l"(a), [w] "=&l"(w)
        : [palette] "l"(palette)
        : "cc", "memory");
    *acc++ = sum;
  }
  streams->index = gaps;
  streams->value = code;
}

// clang-format on

void sparsesep_fully_connected_1x1_gap4_palette4_v7m(
    const SparsesepPackedHeader* weights,
    const SparsesepFullyConnectedParams* params, const void* input,
    int32_t batch, void* output, void* scratch) {
  sparsesep_run_row_groups(weights, params, input, batch, output, scratch,
                           multiply);
}

#endif
