#include <string.h>

#include "sparsesep/compiler.h"
#include "sparsesep/packed_weights.h"

// A header, and what is asked of it again and again.
typedef struct Blob {
  SparsesepPackedHeader h;
  const uint8_t* bytes;  // may start at any address: read byte by byte
  uint32_t area;         // weights of a block
  uint32_t groups;
  uint32_t tiles;  // of a group
} Blob;

static uint32_t read_u16(const uint8_t* p) {
  return p[0] | (uint32_t)p[1] << 8;
}

static uint32_t count_of(const Blob* b, uint32_t group) {
  return read_u16(b->bytes + b->h.counts_offset + 2 * group);
}

static int is_pattern(uint32_t block_rows, uint32_t block_cols) {
  static const uint8_t patterns[][2] = {{1, 1}, {1, 4}, {4, 1},
                                        {2, 4}, {4, 4}, {1, 16}};
  for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); ++i) {
    if (patterns[i][0] == block_rows && patterns[i][1] == block_cols) return 1;
  }
  return 0;
}

static int is_dimension(uint32_t n) { return n - 1 < SPARSESEP_PACKED_MAX_DIM; }

static SparsesepStatus check_shape(const SparsesepPackedHeader* h) {
  const uint32_t multiple = h->count_multiple;
  const int legal = is_dimension(h->rows) && is_dimension(h->cols) &&
                    is_pattern(h->block_rows, h->block_cols) &&
                    multiple - 1 < 16 && (multiple & (multiple - 1)) == 0;
  return legal ? SPARSESEP_OK : SPARSESEP_BAD_SHAPE;
}

static int goes_with_order(const Blob* b) {
  const SparsesepPackedHeader* h = &b->h;
  switch (h->value_order) {
    case SPARSESEP_ORDER_NATURAL:
      return 1;
    case SPARSESEP_ORDER_PAIRS:
      return h->block_rows == 4 && b->area == 4 && h->count_multiple % 2 == 0 &&
             h->value_type == SPARSESEP_VALUE_INT8;
    case SPARSESEP_ORDER_ROWS16:
      return h->block_rows > 1 &&
             h->count_multiple % sparsesep_run_blocks(h) == 0 &&
             h->value_type == SPARSESEP_VALUE_INT8;
    case SPARSESEP_ORDER_WOVEN:
      return h->block_rows > 1 && h->block_cols == 4 &&
             h->value_type == SPARSESEP_VALUE_INT8;
    default:
      return 0;
  }
}

// What the fields ask for must exist and go together.
static SparsesepStatus check_encodings(const Blob* b) {
  const SparsesepPackedHeader* h = &b->h;
  const uint32_t known_flags =
      SPARSESEP_FLAG_BIAS_FOLDED | SPARSESEP_FLAG_BOUNDED;
  const int repeats_index = h->index_encoding != SPARSESEP_INDEX_GAP4 &&
                            h->index_encoding != SPARSESEP_INDEX_BITMAP;
  const int is_folded = (h->flags & SPARSESEP_FLAG_BIAS_FOLDED) != 0;
  const int legal =
      h->value_type <= SPARSESEP_VALUE_FLOAT32 &&
      h->index_encoding <= SPARSESEP_INDEX_WINDOW8 &&
      h->major <= SPARSESEP_MAJOR_COLUMN && h->reserved == 0 &&
      (h->flags & ~known_flags) == 0 &&
      is_folded == (h->major == SPARSESEP_MAJOR_ROW) &&
      (repeats_index || h->count_multiple == 1) &&
      (h->value_type != SPARSESEP_VALUE_PALETTE4 || b->area == 1) &&
      goes_with_order(b);
  return legal ? SPARSESEP_OK : SPARSESEP_UNSUPPORTED;
}

// Bytes of index stream known before the stream is read; the encodings of
// variable length are followed step by step in check_indices.
static uint32_t index_bytes(const Blob* b) {
  switch (b->h.index_encoding) {
    case SPARSESEP_INDEX_U16:
    case SPARSESEP_INDEX_OFFSET16:
      return 2 * b->h.blocks;
    case SPARSESEP_INDEX_DELTA8:
      return b->h.blocks;
    case SPARSESEP_INDEX_BITMAP:
      return b->groups * ((b->tiles + 7) / 8);
    default:
      return 0;
  }
}

static uint32_t value_bytes(const Blob* b) {
  const uint32_t values = b->h.blocks * b->area;
  switch (b->h.value_type) {
    case SPARSESEP_VALUE_FLOAT32:
      return 4 * values;
    case SPARSESEP_VALUE_PALETTE4:
      return 0;  // depends on the counts: check_counts
    default:
      return values;
  }
}

// Walks the sections in file order: each must hold what it claims and end
// before the next one starts.
static SparsesepStatus check_sections(const Blob* b, size_t blob_bytes) {
  const SparsesepPackedHeader* h = &b->h;
  // No more than 64 bytes a block, and a bitmap has no more than 2^29: nothing
  // below overflows where there are fewer blocks than this. Each takes a byte.
  if (h->bytes > blob_bytes || h->blocks > h->bytes ||
      h->blocks > UINT32_MAX / 64) {
    return SPARSESEP_BAD_SECTION;
  }
  const uint32_t rows = h->rows;
  const uint32_t scaled_rows =
      h->value_type == SPARSESEP_VALUE_FLOAT32 ? 0 : rows;
  const uint32_t offsets[] = {
      h->bias_offset,  h->multiplier_offset, h->shift_offset,  h->counts_offset,
      h->index_offset, h->value_offset,      h->palette_offset};
  const uint32_t sizes[] = {4 * rows,
                            4 * scaled_rows,
                            scaled_rows,
                            2 * b->groups,
                            index_bytes(b),
                            value_bytes(b),
                            h->value_type == SPARSESEP_VALUE_PALETTE4 ? 16 : 0};
  static const uint8_t alignments[] = {4, 4, 1, 2, 4, 4, 4};
  uint32_t position = sizeof(SparsesepPackedHeader);
  for (size_t i = 0; i < sizeof(alignments); ++i) {
    const uint32_t offset = offsets[i];
    if (offset < position || offset > h->bytes ||
        sizes[i] > h->bytes - offset || (offset & (alignments[i] - 1u)) != 0) {
      return SPARSESEP_BAD_SECTION;
    }
    position = offset + sizes[i];
  }
  return SPARSESEP_OK;
}

static SparsesepStatus check_counts(const Blob* b) {
  uint32_t total = 0;
  uint32_t nibble_bytes = 0;
  for (uint32_t group = 0; group < b->groups; ++group) {
    const uint32_t count = count_of(b, group);
    if ((count & (b->h.count_multiple - 1u)) != 0) return SPARSESEP_BAD_COUNT;
    total += count;
    nibble_bytes += (count + 1) / 2;
  }
  if (total != b->h.blocks) return SPARSESEP_BAD_COUNT;
  if (b->h.value_type == SPARSESEP_VALUE_PALETTE4 &&
      nibble_bytes > b->h.palette_offset - b->h.value_offset) {
    return SPARSESEP_BAD_SECTION;
  }
  return SPARSESEP_OK;
}

// The encodings that have one number a block.
static SparsesepStatus check_list(const Blob* b) {
  const SparsesepPackedHeader* h = &b->h;
  const uint8_t* p = b->bytes + h->index_offset;
  const uint8_t* const end = b->bytes + h->value_offset;
  const uint32_t offset_unit =
      4u * (h->major == SPARSESEP_MAJOR_ROW ? h->block_cols : h->block_rows);
  const uint32_t window_unit = sparsesep_window_unit(h);
  for (uint32_t group = 0; group < b->groups; ++group) {
    const uint32_t count = count_of(b, group);
    uint32_t tile = 0;
    uint32_t window = 0;
    for (uint32_t n = 0; n < count; ++n) {
      if (h->index_encoding == SPARSESEP_INDEX_WINDOW8) {
        if (window_unit > 1 && n % sparsesep_run_blocks(h) == 0) {
          if (p >= end) return SPARSESEP_BAD_INDEX;
          window = *p++ * window_unit;
        }
        tile = window;
      }
      if (p >= end) return SPARSESEP_BAD_INDEX;
      if (h->index_encoding == SPARSESEP_INDEX_DELTA8 ||
          h->index_encoding == SPARSESEP_INDEX_WINDOW8) {
        tile += *p++;
      } else {
        tile = read_u16(p);
        p += 2;
      }
      if (h->index_encoding == SPARSESEP_INDEX_OFFSET16) {
        if (tile % offset_unit != 0) return SPARSESEP_BAD_INDEX;
        tile /= offset_unit;
      }
      if (tile >= b->tiles) return SPARSESEP_BAD_INDEX;
    }
  }
  return SPARSESEP_OK;
}

static SparsesepStatus check_gap4(const Blob* b) {
  const uint8_t* stream = b->bytes + b->h.index_offset;
  const uint8_t* const end = b->bytes + b->h.value_offset;
  for (uint32_t group = 0; group < b->groups; ++group) {
    uint32_t tile = 0;  // the next that a block could sit at
    uint32_t nibbles = 0;
    for (uint32_t n = count_of(b, group); n > 0; ++nibbles) {
      const uint8_t* at = stream + nibbles / 2;
      if (at >= end) return SPARSESEP_BAD_INDEX;
      const uint32_t gap = nibbles % 2 == 0 ? *at & 15u : *at >> 4;
      tile += gap;
      if (tile >= b->tiles) return SPARSESEP_BAD_INDEX;
      if (gap < 15) {
        ++tile;
        --n;
      }
    }
    stream += (nibbles + 1) / 2;
  }
  return SPARSESEP_OK;
}

static SparsesepStatus check_bitmap(const Blob* b) {
  const uint8_t* bitmap = b->bytes + b->h.index_offset;
  for (uint32_t group = 0; group < b->groups; ++group) {
    uint32_t count = 0;
    for (uint32_t tile = 0; tile < b->tiles; tile += 8) {
      uint32_t bits = *bitmap++;
      if (tile + 8 > b->tiles && bits >> (b->tiles - tile) != 0) {
        return SPARSESEP_BAD_INDEX;
      }
      for (; bits != 0; bits &= bits - 1) ++count;
    }
    if (count != count_of(b, group)) return SPARSESEP_BAD_COUNT;
  }
  return SPARSESEP_OK;
}

static SparsesepStatus check_indices(const Blob* b) {
  switch (b->h.index_encoding) {
    case SPARSESEP_INDEX_GAP4:
      return check_gap4(b);
    case SPARSESEP_INDEX_BITMAP:
      return check_bitmap(b);
    default:
      return check_list(b);
  }
}

static SparsesepStatus check_requantisation(const Blob* b) {
  if (b->h.value_type == SPARSESEP_VALUE_FLOAT32) return SPARSESEP_OK;
  const uint8_t* multiplier = b->bytes + b->h.multiplier_offset;
  const uint8_t* shift = b->bytes + b->h.shift_offset;
  const int highest = b->h.flags & SPARSESEP_FLAG_BOUNDED ? -1 : 30;
  for (uint32_t row = 0; row < b->h.rows; ++row) {
    const int8_t s = (int8_t)shift[row];
    const int is_negative = multiplier[4 * row + 3] >> 7;
    if (is_negative || s < -31 || s > highest) return SPARSESEP_BAD_VALUE;
  }
  return SPARSESEP_OK;
}

SPARSESEP_COLD
SparsesepStatus sparsesep_validate_packed_weights(const void* blob,
                                                  size_t blob_bytes) {
  Blob b;
  if (blob == NULL || blob_bytes < sizeof(b.h)) return SPARSESEP_BAD_HEADER;
  memcpy(&b.h, blob, sizeof(b.h));
  if (b.h.magic != SPARSESEP_PACKED_MAGIC ||
      b.h.version != SPARSESEP_PACKED_VERSION) {
    return SPARSESEP_BAD_HEADER;
  }

  SparsesepStatus status = check_shape(&b.h);
  if (status != SPARSESEP_OK) return status;
  b.bytes = blob;
  b.area = (uint32_t)b.h.block_rows * b.h.block_cols;
  b.groups = sparsesep_group_count(&b.h);
  b.tiles = sparsesep_tiles_per_group(&b.h);
  status = check_encodings(&b);
  if (status == SPARSESEP_OK) status = check_sections(&b, blob_bytes);
  if (status == SPARSESEP_OK) status = check_counts(&b);
  if (status == SPARSESEP_OK) status = check_indices(&b);
  if (status == SPARSESEP_OK) status = check_requantisation(&b);
  return status;
}
