// What the Helium kernels share. Each is a function that accumulates four rows
// at a time; sparsesep_run_mve() does everything around it.
//
// Scratch: int32 accumulators of all rows; after them, for patterns wider than
// one column, room for a copy of one input vector.
#ifndef SPARSESEP_SPARSE_FULLY_CONNECTED_MVE_RUN_MVE_H_
#define SPARSESEP_SPARSE_FULLY_CONNECTED_MVE_RUN_MVE_H_

#include "common/rows.h"

// Where the streams of a row-major blob stand.
typedef struct SparsesepStreams {
  const uint16_t* counts;
  const uint8_t* index;
  const int8_t* value;
  uint32_t window_cols;  // from one window of INDEX_WINDOW8 to the next
} SparsesepStreams;

// acc[4 * quads] = bias + weights * x. Advances the streams past the last
// group.
typedef void (*SparsesepAccumulate)(SparsesepStreams* streams, const int8_t* x,
                                    uint32_t quads, const int32_t* bias,
                                    int32_t* acc);

// clang-format off

// Starts a run in windows, two instructions: where its window begins in x.
#define SPARSESEP_MVE_WINDOW            \
  "  ldrb  %[window], [%[index]], #1\n" \
  "  mla   %[window], %[window], %[window_cols], %[x]\n"

// Four rows by twos, as many as there are registers for. PAIR adds up two rows
// in acc0 and acc1.
#define SPARSESEP_MVE_QUADS(PAIR)             \
  "3:\n"                                      \
  "  ldrd  %[acc0], %[acc1], [%[bias]], #8\n" \
  PAIR                                        \
  "  strd  %[acc0], %[acc1], [%[acc]], #8\n"  \
  "  ldrd  %[acc0], %[acc1], [%[bias]], #8\n" \
  PAIR                                        \
  "  strd  %[acc0], %[acc1], [%[acc]], #8\n"  \
  "  subs  %[quads], %[quads], #1\n"          \
  "  bne   3b\n"

// clang-format on

// A whole kernel. `alignment` is what accumulate() asks of x: 1 or 4 bytes;
// `accumulate_windows` takes its place where runs name their windows.
void sparsesep_run_mve(const SparsesepPackedHeader* weights,
                       const SparsesepFullyConnectedParams* params,
                       const int8_t* input, int32_t batch, int8_t* output,
                       void* scratch, uint32_t alignment,
                       SparsesepAccumulate accumulate,
                       SparsesepAccumulate accumulate_windows);

// Runs several vectors at a time, as many as there are, and returns how many
// vectors that were. None where it would not be faster, or the blob or the
// vectors are none that it runs.
typedef int32_t (*SparsesepRunManyMve)(
    const SparsesepPackedHeader* weights,
    const SparsesepFullyConnectedParams* params, const int8_t* input,
    int32_t batch, int8_t* output);

// The part of the kernel below for batches that `run_many` is for.
void sparsesep_run_whole_many_mve(const SparsesepPackedHeader* weights,
                                  const SparsesepFullyConnectedParams* params,
                                  const int8_t* input, int32_t batch,
                                  int8_t* output, void* scratch,
                                  uint32_t alignment,
                                  SparsesepAccumulate accumulate,
                                  SparsesepAccumulate accumulate_windows,
                                  SparsesepRunManyMve run_many);

// A whole kernel: `run_many` for batches of `least` and more, for the rest what
// sparsesep_run_mve() does.
static inline void sparsesep_run_many_mve(
    const SparsesepPackedHeader* weights,
    const SparsesepFullyConnectedParams* params, const int8_t* input,
    int32_t batch, int8_t* output, void* scratch, uint32_t alignment,
    SparsesepAccumulate accumulate, SparsesepAccumulate accumulate_windows,
    SparsesepRunManyMve run_many, int32_t least) {
  if (batch < least) {
    sparsesep_run_mve(weights, params, input, batch, output, scratch, alignment,
                      accumulate, accumulate_windows);
    return;
  }
  sparsesep_run_whole_many_mve(weights, params, input, batch, output, scratch,
                               alignment, accumulate, accumulate_windows,
                               run_many);
}

// Scratch query: accumulators.
static inline uint32_t sparsesep_accumulators_bytes(
    const SparsesepPackedHeader* weights, int32_t batch) {
  (void)batch;
  return (weights->rows + 3) / 4 * 16;
}

// Scratch query: accumulators and one vector. Only a pattern that is loaded by
// words may need the vector in any case: nothing says how the input is aligned.
static inline uint32_t sparsesep_accumulators_and_vector_bytes(
    const SparsesepPackedHeader* weights, int32_t batch) {
  const uint32_t cols = weights->cols;
  const int always_fits =
      weights->block_cols == 16 && cols % weights->block_cols == 0;
  return sparsesep_accumulators_bytes(weights, batch) +
         (always_fits ? 0 : (cols + 15) / 16 * 16);
}

#endif  // SPARSESEP_SPARSE_FULLY_CONNECTED_MVE_RUN_MVE_H_
