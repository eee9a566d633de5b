// The frame of Armv7-M kernels that multiply four vectors at a time, so that
// weights, columns and the requantization of a row are read once for all four.
//
// Scratch: uint32 acc[rows of a portion, rounded up to whole blocks][4]. Where
// the last block reaches past a vector, vectors go one by one: see
// padded_vector.h.
#ifndef SPARSESEP_SPARSE_FULLY_CONNECTED_V7M_RUN_FOUR_VECTORS_V7M_H_
#define SPARSESEP_SPARSE_FULLY_CONNECTED_V7M_RUN_FOUR_VECTORS_V7M_H_

#include "common/isa.h"
#include "sparse_fully_connected/padded_vector.h"
#include "sparse_fully_connected/row_groups.h"
#include "sparsesep/compiler.h"

// Cores with the DSP extension or Helium have kernels of their own for batches.
#define SPARSESEP_HAS_FOUR_V7M (SPARSESEP_HAS_V7M && !SPARSESEP_HAS_DSP)

// Rows that are requantized at once.
#define SPARSESEP_FOUR_ROWS_V7M 32

static inline uint32_t sparsesep_four_portion_v7m(uint32_t rows) {
  return rows < SPARSESEP_FOUR_ROWS_V7M ? rows : SPARSESEP_FOUR_ROWS_V7M;
}

// The work of multiply_four(), which reads this struct in assembly.
typedef struct SparsesepFourV7m {
  const int8_t* value;  // streams: moved on
  const void* index;
  const uint16_t* counts;
  uint32_t* acc;
  uint32_t* acc_end;
  const int8_t* x;  // the first vector
  uint32_t step;    // bytes from one to the next
} SparsesepFourV7m;

// acc[row][4] = weights * x, without bias, for the rows from `acc` to
// `acc_end`.
typedef void (*SparsesepMultiplyFourV7m)(SparsesepFourV7m* vectors);

// The part of the kernel below for batches with a whole four of vectors.
void sparsesep_run_whole_four_vectors_v7m(
    const SparsesepPackedHeader* weights,
    const SparsesepFullyConnectedParams* params, const void* input,
    int32_t batch, void* output, void* scratch,
    SparsesepMultiplyGroups multiply, SparsesepMultiplyFourV7m multiply_four);

// A whole kernel: `multiply_four` for whole fours, `multiply` for the rest of
// the batch. Row-major blobs.
static inline void sparsesep_run_four_vectors_v7m(
    const SparsesepPackedHeader* weights,
    const SparsesepFullyConnectedParams* params, const void* input,
    int32_t batch, void* output, void* scratch,
    SparsesepMultiplyGroups multiply, SparsesepMultiplyFourV7m multiply_four) {
  if (batch < 4 || sparsesep_padded_cols(weights) != weights->cols) {
    sparsesep_run_row_groups(weights, params, input, batch, output, scratch,
                             multiply);
    return;
  }
  sparsesep_run_whole_four_vectors_v7m(weights, params, input, batch, output,
                                       scratch, multiply, multiply_four);
}

// As sparsesep_finish_rows(), from acc[count][4] to the four rows of outputs
// that are `stride` bytes apart.
void sparsesep_finish_four_v7m(const SparsesepRows* rows, uint32_t first,
                               uint32_t count, const uint32_t* acc, int8_t* out,
                               uint32_t stride);

// clang-format off

// A naked multiply_four(). NEXT loads the column of the next weight to r2 from
// the index at r1, and moves that on; may use lr. Counts are multiples of 4.
//
// r0 value, r1 index, r2 column, r3 weights left, r4-r7 vectors, r8-r11 sums,
// r12 weight, lr input; between rows lr counts, r12 acc. On the stack: counts,
// acc, acc_end.
#define SPARSESEP_V7M_MULTIPLY_FOUR(NEXT)                        \
  static SPARSESEP_NAKED void multiply_four(              \
      SparsesepFourV7m* vectors __attribute__((unused))) {       \
    __asm__ volatile(                                            \
        ".macro nonzero\n"                                       \
        NEXT                                                     \
        "  ldrsb r12, [r0], #1\n"                                \
        "  ldrsb lr, [r4, r2]\n"                                 \
        "  mla r8, r12, lr, r8\n"                                \
        "  ldrsb lr, [r5, r2]\n"                                 \
        "  mla r9, r12, lr, r9\n"                                \
        "  ldrsb lr, [r6, r2]\n"                                 \
        "  mla r10, r12, lr, r10\n"                              \
        "  ldrsb lr, [r7, r2]\n"                                 \
        "  mla r11, r12, lr, r11\n"                              \
        ".endm\n"                                                \
        "  push {r0, r4-r11, lr}\n"                              \
        "  ldmia r0, {r0, r1, r2, r3, r4, r5, r6}\n"             \
        "  push {r2, r3, r4}\n"                                  \
        "  mov r4, r5\n"                                         \
        "  add r5, r4, r6\n"                                     \
        "  add r12, r5, r6\n"                                    \
        "  add r7, r12, r6\n"                                    \
        "  mov r6, r12\n"                                        \
        "  ldrd lr, r12, [sp]\n"                                 \
        "1:\n"                                                   \
        "  ldrh r3, [lr], #2\n"                                  \
        "  strd lr, r12, [sp]\n"                                 \
        "  movs r2, #0\n"                                        \
        "  mov r8, r2\n"                                         \
        "  mov r9, r2\n"                                         \
        "  mov r10, r2\n"                                        \
        "  mov r11, r2\n"                                        \
        "  cmp r3, #0\n"                                         \
        "  beq 3f\n"                                             \
        "2:\n"                                                   \
        "  nonzero\n"                                            \
        "  nonzero\n"                                            \
        "  nonzero\n"                                            \
        "  nonzero\n"                                            \
        "  subs r3, r3, #4\n"                                    \
        "  bne 2b\n"                                             \
        "3:\n"                                                   \
        "  ldrd lr, r12, [sp]\n"                                 \
        "  stmia r12!, {r8, r9, r10, r11}\n"                     \
        "  ldr r3, [sp, #8]\n"                                   \
        "  cmp r12, r3\n"                                        \
        "  bne 1b\n"                                             \
        "  add sp, sp, #12\n"                                    \
        "  pop {r4}\n"                                           \
        "  stmia r4, {r0, r1, lr}\n"                             \
        "  pop {r4-r11, pc}\n"                                   \
        ".purgem nonzero\n");                                    \
  }

// clang-format on

// Scratch query.
static inline uint32_t sparsesep_four_vectors_v7m_bytes(
    const SparsesepPackedHeader* weights, int32_t batch) {
  const uint32_t padded = sparsesep_padded_vector_bytes(weights, batch);
  if (batch < 4 || padded > 0) return padded;
  const uint32_t last = weights->block_rows - 1u;
  return 16 * ((sparsesep_four_portion_v7m(weights->rows) + last) & ~last);
}

#endif  // SPARSESEP_SPARSE_FULLY_CONNECTED_V7M_RUN_FOUR_VECTORS_V7M_H_
