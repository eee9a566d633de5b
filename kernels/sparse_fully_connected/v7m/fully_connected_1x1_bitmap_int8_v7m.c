// 1x1 blocks, one bit for each column, int8 values: Armv7-M.
//
// 7 instructions a nonzero, and about 12 for each 32 columns.
#include "common/isa.h"
#include "sparse_fully_connected/row_groups.h"
#include "sparse_fully_connected/v7m/v7m.h"
#include "sparse_fully_connected/variants.h"

#if SPARSESEP_HAS_V7M

// Adds the nonzeros of one word of the bitmap, lowest bit first, to `sum`.
static inline uint32_t add_word(uint32_t bits, const int8_t* x,
                                const int8_t** value, uint32_t sum) {
  const int8_t* v = *value;
  uint32_t zeros, a, w;
  // clang-format off
  __asm__ volatile(
      "  rbit  %[bits], %[bits]\n"
      "1:\n"
      "  clz   %[zeros], %[bits]\n"
      "  ldrsb %[a], [%[x], %[zeros]]\n"
      "  lsr   %[zeros], %[top], %[zeros]\n"
      SPARSESEP_V7M_WEIGHT("sum", "a")
      "  bics  %[bits], %[bits], %[zeros]\n"
      "  bne   1b\n"
      : [bits] "+r"(bits), [value] "+r"(v), [sum] "+r"(sum),
        [zeros] "=&l"(zeros), [a] "=&l"(a), [w] "=&r"(w)
      : [x] "l"(x), [top] "r"(0x80000000u)
      : "cc", "memory");
  // clang-format on
  *value = v;
  return sum;
}

static void multiply(SparsesepRowStreams* streams, const int8_t* vector,
                     uint32_t groups, uint32_t* acc) {
  const uint32_t bytes = (streams->weights->cols + 7) / 8;
  const uint8_t* bitmap = streams->index;
  const int8_t* value = streams->value;
  for (; groups > 0; --groups) {
    const uint8_t* const end = bitmap + bytes;
    const int8_t* x = vector;
    uint32_t sum = 0;
    for (; end - bitmap >= 4; bitmap += 4, x += 32) {
      const uint32_t bits = bitmap[0] | (uint32_t)bitmap[1] << 8 |
                            (uint32_t)bitmap[2] << 16 |
                            (uint32_t)bitmap[3] << 24;
      if (bits != 0) sum = add_word(bits, x, &value, sum);
    }
    for (; bitmap < end; ++bitmap, x += 8) {
      if (*bitmap != 0) sum = add_word(*bitmap, x, &value, sum);
    }
    *acc++ = sum;
  }
  streams->index = bitmap;
  streams->value = value;
}

void sparsesep_fully_connected_1x1_bitmap_int8_v7m(
    const SparsesepPackedHeader* weights,
    const SparsesepFullyConnectedParams* params, const void* input,
    int32_t batch, void* output, void* scratch) {
  sparsesep_run_row_groups(weights, params, input, batch, output, scratch,
                           multiply);
}

#endif
