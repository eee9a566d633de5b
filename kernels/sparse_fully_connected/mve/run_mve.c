#include "sparse_fully_connected/mve/run_mve.h"
#include "common/isa.h"
#include "common/requantize_mve.h"

#if SPARSESEP_HAS_MVE

// A copy of `vector` in `room`, aligned and with zeros behind its end.
static const int8_t* copy_vector(uint32_t cols, const int8_t* vector,
                                 int8_t* room) {
  int8_t* to = room;
  __asm__ volatile(
      "wlstp.8 lr, %[bytes], 2f\n"
      "1:\n"
      "vldrb.u8 q0, [%[from]], #16\n"
      "vstrb.8 q0, [%[to]], #16\n"
      "letp lr, 1b\n"
      "2:\n"
      : [from] "+&r"(vector), [to] "+&r"(to)
      : [bytes] "r"(cols)
      : "q0", "lr", "cc", "memory");
  for (uint32_t col = cols; col % 16 != 0; ++col) room[col] = 0;
  return room;
}

// Accumulates the last rows, which are no four: filled up with empty rows.
static void accumulate_rest(SparsesepAccumulate accumulate,
                            SparsesepStreams* streams, const int8_t* x,
                            const SparsesepPackedHeader* weights,
                            const int32_t* bias, int32_t* acc) {
  const uint32_t rest = weights->rows & 3u;
  int32_t last_bias[4] = {0};
  uint16_t last_counts[4] = {0};
  for (uint32_t row = 0; row < rest; ++row) {
    last_bias[row] = bias[row];
    if (row % weights->block_rows == 0) {
      last_counts[row / weights->block_rows] = *streams->counts++;
    }
  }
  streams->counts = last_counts;
  accumulate(streams, x, 1, last_bias, acc);
}

void sparsesep_run_mve(const SparsesepPackedHeader* weights,
                       const SparsesepFullyConnectedParams* params,
                       const int8_t* input, int32_t batch, int8_t* output,
                       void* scratch, uint32_t alignment,
                       SparsesepAccumulate accumulate,
                       SparsesepAccumulate accumulate_windows) {
  const SparsesepRows rows = sparsesep_rows(weights, params);
  const uint32_t whole = weights->rows & ~3u;
  const uint32_t unit = sparsesep_window_unit(weights);
  const uint32_t window_cols = unit * weights->block_cols;
  const int is_rest = whole != weights->rows;
  const int is_padded = (weights->cols & (weights->block_cols - 1u)) != 0;
  if (unit != 1) accumulate = accumulate_windows;
  int32_t* acc = scratch;
  int8_t* room =
      (int8_t*)scratch + sparsesep_accumulators_bytes(weights, batch);

  for (; batch > 0; --batch) {
    SparsesepStreams streams = {
        sparsesep_section(weights, weights->counts_offset),
        sparsesep_section(weights, weights->index_offset),
        sparsesep_section(weights, weights->value_offset),
        window_cols,
    };
    const int8_t* x = input;
    // Blocks are loaded whole, and words of them aligned.
    if (is_padded || ((uintptr_t)x & (alignment - 1)) != 0) {
      x = copy_vector(weights->cols, x, room);
    }
    if (whole > 0) accumulate(&streams, x, whole / 4, rows.bias, acc);
    if (is_rest) {
      accumulate_rest(accumulate, &streams, x, weights, rows.bias + whole,
                      acc + whole);
    }
    sparsesep_requantize_rows_mve(&rows, 0, weights->rows, acc, output);
    input += params->input_step;
    output += weights->rows;
  }
}

void sparsesep_run_whole_many_mve(const SparsesepPackedHeader* weights,
                                  const SparsesepFullyConnectedParams* params,
                                  const int8_t* input, int32_t batch,
                                  int8_t* output, void* scratch,
                                  uint32_t alignment,
                                  SparsesepAccumulate accumulate,
                                  SparsesepAccumulate accumulate_windows,
                                  SparsesepRunManyMve run_many) {
  const int32_t done = run_many(weights, params, input, batch, output);
  if (done == batch) return;
  sparsesep_run_mve(weights, params, input + done * params->input_step,
                    batch - done, output + (uint32_t)done * weights->rows,
                    scratch, alignment, accumulate, accumulate_windows);
}

#endif  // SPARSESEP_HAS_MVE
