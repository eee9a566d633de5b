// 1x1 blocks, uint16 columns, int8 values: Armv7-M.
//
// 4.25 instructions a nonzero: column, input, weight, mla, and 2 for 8 rounds.
#include "isa.h"
#include "row_groups.h"
#include "variants.h"

#if SPARSESEP_HAS_V7M

// clang-format off

// Four nonzeros; `column` and `value` move on with the last loads.
#define FOUR_NONZEROS                    \
  "  ldrh  %[a], [%[column], #2]\n"      \
  "  ldrh  %[b], [%[column], #4]\n"      \
  "  ldrsb %[w], [%[value], #1]\n"       \
  "  ldrsb %[a], [%[vector], %[a]]\n"    \
  "  ldrsb %[b], [%[vector], %[b]]\n"    \
  "  mla   %[sum], %[w], %[a], %[sum]\n" \
  "  ldrsb %[w], [%[value], #2]\n"       \
  "  ldrh  %[a], [%[column], #6]\n"      \
  "  mla   %[sum], %[w], %[b], %[sum]\n" \
  "  ldrh  %[b], [%[column]], #8\n"      \
  "  ldrsb %[w], [%[value], #3]\n"       \
  "  ldrsb %[a], [%[vector], %[a]]\n"    \
  "  ldrsb %[b], [%[vector], %[b]]\n"    \
  "  mla   %[sum], %[w], %[a], %[sum]\n" \
  "  ldrsb %[w], [%[value]], #4\n"       \
  "  mla   %[sum], %[w], %[b], %[sum]\n"

// Counts are multiples of 4: where one is no multiple of 8, the first round
// enters halfway.
static void multiply(SparsesepRowStreams* streams, const int8_t* vector,
                     uint32_t groups, uint32_t* acc) {
  const uint16_t* counts = streams->counts;
  const void* column = streams->index;
  const void* value = streams->value;
  uint32_t rounds, sum, a, b, w;
  __asm__ volatile(
      "1:\n"
      "  ldrh  %[rounds], [%[counts]], #2\n"
      "  movs  %[sum], #0\n"
      "  lsrs  %[rounds], %[rounds], #3\n"
      "  adc   %[rounds], %[rounds], #0\n"
      "  bcs   3f\n"
      "  beq   4f\n"
      "2:\n"
      FOUR_NONZEROS
      "3:\n"
      FOUR_NONZEROS
      "  subs  %[rounds], %[rounds], #1\n"
      "  bne   2b\n"
      "4:\n"
      "  str   %[sum], [%[acc]], #4\n"
      "  subs  %[groups], %[groups], #1\n"
      "  bne   1b\n"
      : [counts] "+r"(counts), [column] "+l"(column), [value] "+r"(value),
        [groups] "+r"(groups), [acc] "+r"(acc), [rounds] "=&r"(rounds),
        [sum] "=&r"(sum), [a] "=&l"(a), [b] "=&l"(b), [w] "=&r"(w)
      : [vector] "l"(vector)
      : "cc", "memory");
  streams->counts = counts;
  streams->index = column;
  streams->value = value;
}

// clang-format on

void sparsesep_fully_connected_1x1_u16_int8_v7m(
    const SparsesepPackedHeader* weights,
    const SparsesepFullyConnectedParams* params, const void* input,
    int32_t batch, void* output, void* scratch) {
  sparsesep_run_row_groups(weights, params, input, batch, output, scratch,
                           multiply);
}

#endif
