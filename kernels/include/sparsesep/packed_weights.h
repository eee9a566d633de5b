// The packed weight blob, version 1: one constant tensor that holds a sparse
// weight matrix with everything that a device needs to multiply by it.
//
// The blob is little-endian, 16-byte aligned in the model file, and read in
// place: nothing is unpacked. `converters/blob/format.py` mirrors this file
// and a test holds the two against each other.
//
//   header        SparsesepPackedHeader, 64 bytes
//   bias          int32[rows], or float32[rows]
//   multiplier    int32[rows], Q0.31, >= 0                  (int8 values only)
//   shift         int8[rows], -31..30, positive is left     (int8 values only)
//   counts        uint16[groups]: stored blocks of each group
//   index         the stream that says where each block sits
//   value         the stream of weights, block after block
//   palette       int8[16]                          (palette values only)
//
// int8 values and palette entries are weights themselves: real = scale * value.
//
// Sections follow each other in this order. A section ends where the next
// begins; absent sections have the offset of their successor, `bytes` after
// the last. All start at multiples of 4, shift at any byte, counts at
// multiples of 2.
//
// Blocks. The matrix is cut into a grid of block_rows x block_cols tiles; a
// tile is stored whole or not at all. Row-major blobs hold one group per row
// of tiles, and an index counts tiles along the columns. Column-major blobs
// hold one group per column of tiles, and an index counts tiles along the
// rows. Where rows or cols are no multiple of the tile, the weights of the
// last tiles that lie outside the matrix are stored as zeros.
//
// Each group's count is a multiple of `count_multiple`; the packer fills up
// with all-zero blocks that repeat the last index. GAP4, which cannot
// repeat one, has a count_multiple of 1, and so have palettes, which need not
// hold 0: where those pass over a gap too wide for DELTA8, it is by two blocks
// in one place whose weights add up to 0. No other blocks of a group share a
// place: kernels bound sums by the columns. Validation does not check it, as
// outputs would be wrong, but nothing else.
//
// Numbers. The packer guarantees |folded bias[r]| + 128 * sum(|row r|) < 2^30
// where it sets FLAG_BOUNDED, so that final accumulators of int8 inputs never
// leave 31 bits. In interleaved blobs (ORDER_WOVEN) it guarantees
// 128 * sum(|row r|) < 2^23, so that the two interleaved sums can be separated.
// A blob that breaks this promise gives wrong outputs, nothing worse.
#ifndef SPARSESEP_PACKED_WEIGHTS_H_
#define SPARSESEP_PACKED_WEIGHTS_H_

#include <stddef.h>
#include <stdint.h>

#include "sparsesep/status.h"

#ifdef __cplusplus
extern "C" {
#endif

#define SPARSESEP_PACKED_MAGIC 0x31575053u  // "SPW1"
#define SPARSESEP_PACKED_VERSION 1
#define SPARSESEP_PACKED_ALIGNMENT 16
#define SPARSESEP_PACKED_MAX_DIM 65535

enum {
  SPARSESEP_VALUE_INT8 = 0,
  SPARSESEP_VALUE_PALETTE4 = 1,  // two 4-bit palette entries a byte, low first;
                                 // each group starts at a whole byte
  SPARSESEP_VALUE_FLOAT32 = 2,
};

enum {
  SPARSESEP_INDEX_U16 = 0,     // uint16 tile number of each block
  SPARSESEP_INDEX_DELTA8 = 1,  // uint8 step from the block before; starts at 0.
                               // Steps over 255 pass over all-zero blocks.
  SPARSESEP_INDEX_GAP4 = 2,    // 4-bit number of tiles passed over since the
                               // block before (or the group's start), low
                               // nibble first; 15 passes over 15 tiles and
                               // continues with the next nibble. Each group
                               // starts at a whole byte.
                               // 3 was a bitmap, which no kernel reads
  SPARSESEP_INDEX_OFFSET16 = 4,  // uint16 byte offset of the tile in a vector
                                 // of int32: tile * block rows (column-major)
                                 // or columns (row-major) * 4
  SPARSESEP_INDEX_WINDOW8 = 5,   // uint8 tile number of each block. Where a
                                 // group has more than 256 tiles, a byte w
                                 // comes before each run of 16 / block_cols
                                 // blocks (a group's last run may be shorter)
                                 // and a tile is w * window unit + its byte:
                                 // see sparsesep_window_unit(). Runs that
                                 // their window cuts short are filled up with
                                 // all-zero blocks.
  SPARSESEP_INDEX_DENSE = 6,     // none: every tile is stored, zero or not
};

enum {
  SPARSESEP_MAJOR_ROW = 0,     // groups are rows of tiles (output-stationary)
  SPARSESEP_MAJOR_COLUMN = 1,  // groups are columns of tiles (input-stationary)
};

enum {
  SPARSESEP_ORDER_NATURAL = 0,  // each block row after row
  SPARSESEP_ORDER_PAIRS = 1,    // 4x1 only, count_multiple even: blocks a, b
                                // stored as a0 a1 b0 b1 a2 a3 b2 b3
  SPARSESEP_ORDER_ROWS16 = 2,   // 4x1, 2x4, 4x4: runs of 16 / block_cols
                                // blocks, each run row after row, so that a
                                // row of a run is 16 bytes. count_multiple is
                                // a multiple of the run.
  SPARSESEP_ORDER_WOVEN = 3,    // 2x4, 4x4: two rows, a and b, share each
                                // int16: a + 256 * b, so that the low byte is
                                // a and the high byte b, or b - 1 where a is
                                // negative. A block is (a0 a2) of each pair of
                                // rows, then (a1 a3) of each.
};

enum {
  // bias holds bias[r] - input_zero_point * sum(weights of row r), so that
  // acc = bias + sum(w * x) needs no zero point. Set in all row-major blobs and
  // in no column-major one: those kernels pass over inputs that equal the zero
  // point, and take it off the others.
  SPARSESEP_FLAG_BIAS_FOLDED = 1u << 0,
  // Every shift is below 0 and the promise on accumulators holds (see Numbers):
  // requantization needs no left shift and no 64-bit sum.
  SPARSESEP_FLAG_BOUNDED = 1u << 1,
};

typedef struct SparsesepPackedHeader {
  uint32_t magic;
  uint8_t version;
  uint8_t value_type;      // SPARSESEP_VALUE_*
  uint8_t index_encoding;  // SPARSESEP_INDEX_*
  uint8_t major;           // SPARSESEP_MAJOR_*
  uint8_t block_rows;
  uint8_t block_cols;
  uint8_t count_multiple;  // 1, 2, 4, 8 or 16
  uint8_t value_order;     // SPARSESEP_ORDER_*
  uint32_t flags;          // SPARSESEP_FLAG_*
  uint32_t rows;           // output units, 1..65535
  uint32_t cols;           // input units, 1..65535
  uint32_t blocks;         // stored blocks, all groups, zero filling included
  uint32_t bytes;          // of the whole blob
  uint32_t bias_offset;    // offsets in bytes from the start of the header
  uint32_t multiplier_offset;
  uint32_t shift_offset;
  uint32_t counts_offset;
  uint32_t index_offset;
  uint32_t value_offset;
  uint32_t palette_offset;
  uint32_t reserved;  // 0
} SparsesepPackedHeader;

// Groups of a blob: rows (or columns) of tiles.
static inline uint32_t sparsesep_group_count(const SparsesepPackedHeader* h) {
  return h->major == SPARSESEP_MAJOR_ROW
             ? (h->rows + h->block_rows - 1) / h->block_rows
             : (h->cols + h->block_cols - 1) / h->block_cols;
}

// Tiles along one group: every index is below this.
static inline uint32_t sparsesep_tiles_per_group(
    const SparsesepPackedHeader* h) {
  return h->major == SPARSESEP_MAJOR_ROW
             ? (h->cols + h->block_cols - 1) / h->block_cols
             : (h->rows + h->block_rows - 1) / h->block_rows;
}

// Blocks of a run: together 16 columns wide (INDEX_WINDOW8, ORDER_ROWS16).
static inline uint32_t sparsesep_run_blocks(const SparsesepPackedHeader* h) {
  return 16u / h->block_cols;
}

// Tiles between neighboring windows of INDEX_WINDOW8: the fewest with which
// 256 windows reach every tile. 1 means that there are no window bytes.
static inline uint32_t sparsesep_window_unit(const SparsesepPackedHeader* h) {
  return (sparsesep_tiles_per_group(h) + 255) / 256;
}

static inline const void* sparsesep_section(const SparsesepPackedHeader* h,
                                            uint32_t offset) {
  return (const uint8_t*)h + offset;
}

// Checks a blob completely: every offset, count, index and parameter. One
// pass, no allocation. Kernels trust a blob that passed and never read outside
// [blob, blob + blob_bytes). `blob` may be any memory, aligned or not.
SparsesepStatus sparsesep_validate_packed_weights(const void* blob,
                                                  size_t blob_bytes);

#ifdef __cplusplus
}
#endif

#endif  // SPARSESEP_PACKED_WEIGHTS_H_
