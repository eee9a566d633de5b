#include "isa.h"
#include "mve.h"

#if SPARSESEP_HAS_MVE

#include "requantize_mve.h"

// Blocks are loaded whole and aligned: where `vector` does not allow that, its
// copy in `room` does, with zeros behind its end.
static const int8_t* block_vector(const SparsesepPackedHeader* weights,
                                  const int8_t* vector, uint32_t alignment,
                                  int8_t* room) {
  const uint32_t cols = weights->cols;
  if (cols % weights->block_cols == 0 && (uintptr_t)vector % alignment == 0) {
    return vector;
  }
  const int8_t* from = vector;
  int8_t* to = room;
  __asm volatile(
      "wlstp.8 lr, %[bytes], 2f\n"
      "1:\n"
      "vldrb.u8 q0, [%[from]], #16\n"
      "vstrb.8 q0, [%[to]], #16\n"
      "letp lr, 1b\n"
      "2:\n"
      : [from] "+&r"(from), [to] "+&r"(to)
      : [bytes] "r"(cols)
      : "q0", "lr", "cc", "memory");
  for (uint32_t col = cols; col % 16 != 0; ++col) room[col] = 0;
  return room;
}

// Accumulates `count` rows. Biases of a last group that is not whole are
// copied, because accumulate() reads whole groups.
static void accumulate_rows(SparsesepAccumulate accumulate,
                            SparsesepStreams* streams, const int8_t* x,
                            uint32_t count, uint32_t block_rows,
                            const int32_t* bias, int32_t* acc) {
  const uint32_t whole = count & ~(block_rows - 1);
  const uint32_t rest = count - whole;
  if (whole > 0) accumulate(streams, x, whole / block_rows, bias, acc);
  if (rest > 0) {
    int32_t padded[4] = {0};
    for (uint32_t r = 0; r < rest; ++r) padded[r] = bias[whole + r];
    accumulate(streams, x, 1, padded, acc + whole);
  }
}

void sparsesep_run_mve(const SparsesepPackedHeader* weights,
                       const SparsesepFullyConnectedParams* params,
                       const int8_t* input, int32_t batch, int8_t* output,
                       void* scratch, uint32_t alignment,
                       SparsesepAccumulate accumulate) {
  const SparsesepRows rows = sparsesep_rows(weights, params);
  const uint32_t unit = sparsesep_window_unit(weights);
  int32_t* acc = scratch;
  int8_t* room = (int8_t*)scratch + sparsesep_slice_bytes(weights, batch);

  for (; batch > 0; --batch, input += weights->cols) {
    SparsesepStreams streams = {
        sparsesep_section(weights, weights->counts_offset),
        sparsesep_section(weights, weights->index_offset),
        sparsesep_section(weights, weights->value_offset),
        unit == 1 ? 0 : unit * weights->block_cols,
    };
    const int8_t* x = block_vector(weights, input, alignment, room);
    uint32_t count = 0;
    for (uint32_t row = 0; row < weights->rows; row += count) {
      count = sparsesep_slice_rows(weights, row);
      accumulate_rows(accumulate, &streams, x, count, weights->block_rows,
                      rows.bias + row, acc);
      sparsesep_requantize_rows_mve(&rows, row, count, acc, output);
      output += count;
    }
  }
}

#endif  // SPARSESEP_HAS_MVE
