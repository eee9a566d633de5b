// The frame of Armv6-M kernels that multiply two vectors at a time, so that
// weights and columns are read once for both.
#ifndef SPARSESEP_SPARSE_FULLY_CONNECTED_V6M_TWO_VECTORS_V6M_H_
#define SPARSESEP_SPARSE_FULLY_CONNECTED_V6M_TWO_VECTORS_V6M_H_

#include "sparse_fully_connected/row_groups.h"
#include "sparse_fully_connected/v6m/v6m.h"
#include "sparsesep/compiler.h"

// Rows of a portion, for assembly that stores with an offset: at most 31.
#define SPARSESEP_TWO_V6M_PORTION 28

// The work of multiply_two(), which reads this struct in assembly.
typedef struct SparsesepTwoV6m {
  const uint16_t* counts;  // streams: moved on
  const void* index;
  const int8_t* value;
  const int8_t* first;  // the vectors
  const int8_t* second;
  uint32_t* acc;  // of the first; those of the second are a portion behind
  uint32_t* acc_end;
} SparsesepTwoV6m;

// acc = weights * vector, without bias, for the rows from `acc` to `acc_end`.
typedef void (*SparsesepMultiplyTwoV6m)(SparsesepTwoV6m* vectors);

// The part of the kernel below for batches with a whole pair of vectors.
void sparsesep_run_whole_two_vectors_v6m(
    const SparsesepPackedHeader* weights,
    const SparsesepFullyConnectedParams* params, const void* input,
    int32_t batch, void* output, void* scratch,
    SparsesepMultiplyGroups multiply, SparsesepMultiplyTwoV6m multiply_two);

// A whole kernel: `multiply_two` for whole pairs, `multiply` for the rest of
// the batch. Row-major blobs with 1x1 blocks.
static inline void sparsesep_run_two_vectors_v6m(
    const SparsesepPackedHeader* weights,
    const SparsesepFullyConnectedParams* params, const void* input,
    int32_t batch, void* output, void* scratch,
    SparsesepMultiplyGroups multiply, SparsesepMultiplyTwoV6m multiply_two) {
  if (batch < 2) {
    sparsesep_run_row_groups(weights, params, input, batch, output, scratch,
                             multiply);
    return;
  }
  sparsesep_run_whole_two_vectors_v6m(weights, params, input, batch, output,
                                      scratch, multiply, multiply_two);
}

// clang-format off

// The weight at r2 for both vectors; COLUMN brings its column to r0, and may use
// r3.
#define SPARSESEP_V6M_TWO(COLUMN) \
  COLUMN                          \
  "  ldrsb r3, [r1, r0]\n"              \
  "  muls  r3, r2, r3\n"                \
  "  add   r8, r3\n"                    \
  "  ldrsb r3, [r5, r0]\n"              \
  "  muls  r3, r2, r3\n"                \
  "  add   r9, r3\n"

// A naked multiply_two(). FOUR multiplies four weights, END brings to r2 where
// the index of the row ends, of r3 weights.
//
// r0 column, r1 and r5 vectors, r2 weight, r3 input, r4 weights, r6 value, r7
// index; r8 and r9 sums, r10 counts, r11 acc, r12 where the row's index ends,
// lr acc_end. Counts are multiples of 4: where one is no multiple of 8, the
// first round enters halfway.
#define SPARSESEP_V6M_MULTIPLY_TWO(FOUR, END)                    \
  static SPARSESEP_NAKED void multiply_two(               \
      SparsesepTwoV6m* vectors __attribute__((unused))) {        \
    __asm__ volatile(                                            \
        SPARSESEP_V6M_ENTER                                      \
        "  push  {r0}\n"                                         \
        "  ldmia r0!, {r1, r2, r3}\n"                            \
        "  mov   r10, r1\n"                                      \
        "  mov   r7, r2\n"                                       \
        "  mov   r6, r3\n"                                       \
        "  ldmia r0!, {r1, r2, r3, r4}\n"                        \
        "  mov   r5, r2\n"                                       \
        "  mov   r11, r3\n"                                      \
        "  mov   lr, r4\n"                                       \
        "1:\n"                                                   \
        "  mov   r2, r10\n"                                      \
        "  ldrh  r3, [r2]\n"                                     \
        "  adds  r2, #2\n"                                       \
        "  mov   r10, r2\n"                                      \
        "  movs  r0, #0\n"                                       \
        "  mov   r8, r0\n"                                       \
        "  mov   r9, r0\n"                                       \
        END                                                      \
        "  mov   r12, r2\n"                                      \
        "  lsrs  r3, r3, #3\n"                                   \
        "  bcs   3f\n"                                           \
        "  beq   4f\n"                                           \
        "2:\n"                                                   \
        FOUR                                                     \
        "3:\n"                                                   \
        FOUR                                                     \
        "  cmp   r7, r12\n"                                      \
        "  bne   2b\n"                                           \
        "4:\n"                                                   \
        "  mov   r3, r11\n"                                      \
        "  mov   r4, r8\n"                                       \
        "  str   r4, [r3]\n"                                     \
        "  mov   r4, r9\n"                                       \
        "  str   r4, [r3, #112]\n"                               \
        "  adds  r3, #4\n"                                       \
        "  mov   r11, r3\n"                                      \
        "  cmp   r3, lr\n"                                       \
        "  bne   1b\n"                                           \
        "  pop   {r0}\n"                                         \
        "  mov   r1, r10\n"                                      \
        "  str   r1, [r0]\n"                                     \
        "  str   r7, [r0, #4]\n"                                 \
        "  str   r6, [r0, #8]\n"                                 \
        SPARSESEP_V6M_LEAVE);                                    \
  }

// clang-format on

#endif  // SPARSESEP_SPARSE_FULLY_CONNECTED_V6M_TWO_VECTORS_V6M_H_
