#include "opencl/unpack_tiles.h"

#include <stdlib.h>
#include <string.h>

#include "sparse_fully_connected/gap4.h"

// The streams of a blob at the start of a group.
typedef struct Streams {
  const SparsesepPackedHeader* weights;
  const uint8_t* index;
  const uint8_t* value;
  // Within the group:
  uint32_t nibbles;  // of GAP4, consumed
  uint32_t window;   // of WINDOW8
  uint32_t at;       // tile of the previous block
} Streams;

static uint32_t read_u16(Streams* s) {
  const uint32_t number = s->index[0] | (uint32_t)s->index[1] << 8;
  s->index += 2;
  return number;
}

// Returns the tile, along its group, of block `n` of the group.
static uint32_t next_tile(Streams* s, uint32_t n) {
  const SparsesepPackedHeader* h = s->weights;
  switch (h->index_encoding) {
    case SPARSESEP_INDEX_DENSE:
      return n;
    case SPARSESEP_INDEX_U16:
      return read_u16(s);
    case SPARSESEP_INDEX_OFFSET16:
      return read_u16(s) /
             (4u * (h->major == SPARSESEP_MAJOR_ROW ? h->block_cols
                                                    : h->block_rows));
    case SPARSESEP_INDEX_DELTA8:
      return s->at += *s->index++;
    case SPARSESEP_INDEX_GAP4:
      return s->at += (n != 0) + sparsesep_next_gap(s->index, &s->nibbles);
    default:  // SPARSESEP_INDEX_WINDOW8
      if (sparsesep_window_unit(h) > 1 && n % sparsesep_run_blocks(h) == 0) {
        s->window = *s->index++ * sparsesep_window_unit(h);
      }
      return s->window + *s->index++;
  }
}

static void end_group(Streams* s, uint32_t count) {
  const SparsesepPackedHeader* h = s->weights;
  const uint32_t values = count * h->block_rows * h->block_cols;
  if (h->index_encoding == SPARSESEP_INDEX_GAP4) {
    s->index += (s->nibbles + 1) / 2;
  }
  s->value += h->value_type == SPARSESEP_VALUE_FLOAT32    ? 4 * values
              : h->value_type == SPARSESEP_VALUE_PALETTE4 ? (values + 1) / 2
                                                          : values;
  s->nibbles = 0;
  s->window = 0;
  s->at = 0;
}

static void copy_woven(const Streams* s, uint32_t n, int8_t* tile) {
  const uint32_t rows = s->weights->block_rows;
  const int8_t* value = (const int8_t*)s->value + n * rows * 4;
  for (uint32_t parity = 0; parity < 2; ++parity) {
    for (uint32_t row = 0; row < rows; row += 2) {
      for (uint32_t col = parity; col < 4; col += 2, value += 2) {
        tile[row * 4 + col] = value[0];
        tile[(row + 1) * 4 + col] = (int8_t)(value[1] + (value[0] < 0));
      }
    }
  }
}

// Returns the offset of row r, column c of block n from the group's values,
// in bytes.
static uint32_t value_offset(const SparsesepPackedHeader* h, uint32_t n,
                             uint32_t r, uint32_t c) {
  const uint32_t run = sparsesep_run_blocks(h);
  switch (h->value_order) {
    case SPARSESEP_ORDER_PAIRS:
      return n / 2 * 8 + r / 2 * 4 + n % 2 * 2 + r % 2;
    case SPARSESEP_ORDER_ROWS16:
      return n / run * (h->block_rows * 16u) + r * 16 +
             n % run * h->block_cols + c;
    default:
      return (n * h->block_rows + r) * h->block_cols + c;
  }
}

// Writes the weights of block n of the group in row-major order.
static void copy_block(const Streams* s, uint32_t n, void* tile) {
  const SparsesepPackedHeader* h = s->weights;
  int8_t* values = tile;
  if (h->value_order == SPARSESEP_ORDER_WOVEN) {
    copy_woven(s, n, tile);
    return;
  }
  const int8_t* palette = sparsesep_section(h, h->palette_offset);
  for (uint32_t r = 0; r < h->block_rows; ++r) {
    for (uint32_t c = 0; c < h->block_cols; ++c) {
      const uint32_t at = value_offset(h, n, r, c);
      *values++ = h->value_type == SPARSESEP_VALUE_PALETTE4
                      ? palette[s->value[at / 2] >> at % 2 * 4 & 15]
                      : (int8_t)s->value[at];
    }
  }
}

// Blocks of floats are split into single weights: see unpack_tiles.h.
static bool is_split(const SparsesepPackedHeader* h) {
  return h->value_type == SPARSESEP_VALUE_FLOAT32;
}

static size_t tile_bytes(const SparsesepPackedHeader* h) {
  return is_split(h) ? sizeof(float) : (size_t)h->block_rows * h->block_cols;
}

// Adds each weight of block n that lies in the matrix as a tile.
static void split_block(const Streams* s, uint32_t n, uint32_t row,
                        uint32_t col, SparsesepTiles* tiles, int32_t* next) {
  const SparsesepPackedHeader* h = s->weights;
  const uint8_t* value =
      s->value + (size_t)n * h->block_rows * h->block_cols * sizeof(float);
  float* values = tiles->values;
  for (uint32_t r = 0; r < h->block_rows; ++r) {
    for (uint32_t c = 0; c < h->block_cols; ++c, value += sizeof(float)) {
      if (row + r >= h->rows || col + c >= h->cols) continue;
      const int32_t place = next[row + r]++;
      if (tiles->columns == NULL) continue;
      tiles->columns[place] = (uint16_t)(col + c);
      memcpy(values + place, value, sizeof(float));
    }
  }
}

// Visits all blocks in the blob's order. Without columns in `tiles`, counts
// tiles per row group in `next`; otherwise stores each at its group's next
// place.
static void walk(const SparsesepPackedHeader* h, SparsesepTiles* tiles,
                 int32_t* next) {
  const uint16_t* counts = sparsesep_section(h, h->counts_offset);
  Streams s = {.weights = h,
               .index = sparsesep_section(h, h->index_offset),
               .value = sparsesep_section(h, h->value_offset)};
  for (uint32_t group = 0; group < sparsesep_group_count(h); ++group) {
    for (uint32_t n = 0; n < counts[group]; ++n) {
      const uint32_t tile = next_tile(&s, n);
      const uint32_t row = h->major == SPARSESEP_MAJOR_ROW ? group : tile;
      const uint32_t col =
          (h->major == SPARSESEP_MAJOR_ROW ? tile : group) * h->block_cols;
      if (is_split(h)) {
        split_block(&s, n, row * h->block_rows, col, tiles, next);
        continue;
      }
      const int32_t place = next[row]++;
      if (tiles->columns == NULL) continue;
      tiles->columns[place] = (uint16_t)col;
      copy_block(&s, n,
                 (uint8_t*)tiles->values + (size_t)place * tile_bytes(h));
    }
    end_group(&s, counts[group]);
  }
}

// Counts the tiles of each group and computes where each group starts.
static void place_groups(const SparsesepPackedHeader* h, int32_t multiple,
                         SparsesepTiles* tiles, int32_t* next) {
  walk(h, tiles, next);
  for (uint32_t i = 0; i < tiles->groups; ++i) {
    const int32_t filled = (next[i] + multiple - 1) / multiple * multiple;
    tiles->starts[i + 1] = tiles->starts[i] + filled;
    next[i] = tiles->starts[i];
  }
  tiles->count = (uint32_t)tiles->starts[tiles->groups];
}

bool sparsesep_unpack_tiles(const SparsesepPackedHeader* weights,
                            int32_t multiple, SparsesepTiles* tiles) {
  memset(tiles, 0, sizeof(*tiles));
  tiles->tile_rows = is_split(weights) ? 1 : weights->block_rows;
  tiles->tile_cols = is_split(weights) ? 1 : weights->block_cols;
  const uint32_t group = (uint32_t)tiles->tile_rows;
  tiles->groups = (weights->rows + group - 1) / group;
  tiles->starts = calloc(tiles->groups + 1, sizeof(int32_t));
  int32_t* next = calloc(tiles->groups, sizeof(int32_t));
  if (tiles->starts == NULL || next == NULL) {
    free(next);
    return false;
  }
  place_groups(weights, multiple, tiles, next);
  tiles->values = calloc(tiles->count + 1u, tile_bytes(weights));
  tiles->columns = calloc(tiles->count + 1u, sizeof(uint16_t));
  const bool enough = tiles->values != NULL && tiles->columns != NULL;
  if (enough) walk(weights, tiles, next);
  free(next);
  return enough;
}

void sparsesep_free_tiles(SparsesepTiles* tiles) {
  free(tiles->starts);
  free(tiles->columns);
  free(tiles->values);
}

void sparsesep_folded_bias(const SparsesepPackedHeader* weights,
                           const SparsesepTiles* tiles, int32_t zero_point,
                           int32_t* bias) {
  memcpy(bias, sparsesep_section(weights, weights->bias_offset),
         4 * (size_t)weights->rows);
  if (weights->flags & SPARSESEP_FLAG_BIAS_FOLDED) return;
  const int8_t* value = tiles->values;
  for (uint32_t group = 0; group < tiles->groups; ++group) {
    for (int32_t i = tiles->starts[group]; i < tiles->starts[group + 1]; ++i) {
      for (uint32_t r = 0; r < weights->block_rows; ++r) {
        const uint32_t row = group * weights->block_rows + r;
        for (uint32_t c = 0; c < weights->block_cols; ++c, ++value) {
          if (row >= weights->rows) continue;
          bias[row] =
              (int32_t)((uint32_t)bias[row] -
                        (uint32_t)zero_point * (uint32_t)(int32_t)*value);
        }
      }
    }
  }
}
