#include <string.h>

#include "sparsesep/packed_weights.h"

// Byte-wise reads: an unvalidated blob may start at any address.
static uint32_t read_u16(const uint8_t* p) {
  return p[0] | (uint32_t)p[1] << 8;
}

static uint32_t read_u32(const uint8_t* p) {
  return read_u16(p) | read_u16(p + 2) << 16;
}

static int is_pattern(uint32_t block_rows, uint32_t block_cols) {
  static const uint8_t patterns[][2] = {{1, 1}, {1, 4}, {4, 1},
                                        {2, 4}, {4, 4}, {1, 16}};
  for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); ++i) {
    if (patterns[i][0] == block_rows && patterns[i][1] == block_cols) return 1;
  }
  return 0;
}

static int is_dimension(uint32_t n) {
  return n >= 1 && n <= SPARSESEP_PACKED_MAX_DIM;
}

static uint32_t block_area(const SparsesepPackedHeader* h) {
  return (uint32_t)h->block_rows * h->block_cols;
}

static SparsesepStatus check_shape(const SparsesepPackedHeader* h) {
  if (!is_dimension(h->rows) || !is_dimension(h->cols) ||
      !is_pattern(h->block_rows, h->block_cols)) {
    return SPARSESEP_BAD_SHAPE;
  }
  if (h->count_multiple == 0 || h->count_multiple > 16 ||
      (h->count_multiple & (h->count_multiple - 1)) != 0) {
    return SPARSESEP_BAD_SHAPE;
  }
  return SPARSESEP_OK;
}

// What the fields ask for must exist and go together.
static SparsesepStatus check_encodings(const SparsesepPackedHeader* h) {
  const uint32_t known_flags =
      SPARSESEP_FLAG_BIAS_FOLDED | SPARSESEP_FLAG_BOUNDED;
  const int repeats_index = h->index_encoding != SPARSESEP_INDEX_GAP4 &&
                            h->index_encoding != SPARSESEP_INDEX_BITMAP;
  if (h->value_type > SPARSESEP_VALUE_FLOAT32 ||
      h->index_encoding > SPARSESEP_INDEX_WINDOW8 ||
      h->major > SPARSESEP_MAJOR_COLUMN ||
      h->value_order > SPARSESEP_ORDER_ROWS16 || h->reserved != 0 ||
      (h->flags & ~known_flags) != 0) {
    return SPARSESEP_UNSUPPORTED;
  }
  if (!repeats_index && h->count_multiple != 1) return SPARSESEP_UNSUPPORTED;
  const int is_folded = (h->flags & SPARSESEP_FLAG_BIAS_FOLDED) != 0;
  if (is_folded != (h->major == SPARSESEP_MAJOR_ROW)) {
    return SPARSESEP_UNSUPPORTED;
  }
  if (h->value_type == SPARSESEP_VALUE_PALETTE4 && block_area(h) != 1) {
    return SPARSESEP_UNSUPPORTED;
  }
  if (h->value_order == SPARSESEP_ORDER_PAIRS &&
      (h->block_rows != 4 || h->block_cols != 1 || h->count_multiple % 2 != 0 ||
       h->value_type != SPARSESEP_VALUE_INT8)) {
    return SPARSESEP_UNSUPPORTED;
  }
  if (h->value_order == SPARSESEP_ORDER_ROWS16 &&
      (h->block_rows == 1 || h->count_multiple % sparsesep_run_blocks(h) != 0 ||
       h->value_type != SPARSESEP_VALUE_INT8)) {
    return SPARSESEP_UNSUPPORTED;
  }
  return SPARSESEP_OK;
}

// Bytes of index stream known before the stream is read; the encodings of
// variable length are followed step by step in check_indices.
static uint64_t index_bytes(const SparsesepPackedHeader* h) {
  switch (h->index_encoding) {
    case SPARSESEP_INDEX_U16:
    case SPARSESEP_INDEX_OFFSET16:
      return 2 * (uint64_t)h->blocks;
    case SPARSESEP_INDEX_DELTA8:
      return h->blocks;
    case SPARSESEP_INDEX_BITMAP:
      return (uint64_t)sparsesep_group_count(h) *
             ((sparsesep_tiles_per_group(h) + 7) / 8);
    default:
      return 0;
  }
}

static uint64_t value_bytes(const SparsesepPackedHeader* h) {
  const uint64_t values = (uint64_t)h->blocks * block_area(h);
  switch (h->value_type) {
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
static SparsesepStatus check_sections(const SparsesepPackedHeader* h,
                                      size_t blob_bytes) {
  const uint64_t rows = h->rows;
  const int is_float = h->value_type == SPARSESEP_VALUE_FLOAT32;
  const int has_palette = h->value_type == SPARSESEP_VALUE_PALETTE4;
  const struct {
    uint32_t offset;
    uint32_t alignment;
    uint64_t bytes;
  } sections[] = {
      {h->bias_offset, 4, 4 * rows},
      {h->multiplier_offset, 4, is_float ? 0 : 4 * rows},
      {h->shift_offset, 1, is_float ? 0 : rows},
      {h->counts_offset, 2, 2 * (uint64_t)sparsesep_group_count(h)},
      {h->index_offset, 4, index_bytes(h)},
      {h->value_offset, 4, value_bytes(h)},
      {h->palette_offset, 4, has_palette ? 16 : 0},
  };
  const size_t section_count = sizeof(sections) / sizeof(sections[0]);

  if (h->bytes > blob_bytes) return SPARSESEP_BAD_SECTION;
  uint64_t position = sizeof(SparsesepPackedHeader);
  for (size_t i = 0; i < section_count; ++i) {
    if (sections[i].offset < position ||
        sections[i].offset % sections[i].alignment != 0) {
      return SPARSESEP_BAD_SECTION;
    }
    position = sections[i].offset + sections[i].bytes;
    if (position > h->bytes) return SPARSESEP_BAD_SECTION;
  }
  return SPARSESEP_OK;
}

static SparsesepStatus check_counts(const SparsesepPackedHeader* h,
                                    const uint8_t* blob) {
  const uint8_t* counts = blob + h->counts_offset;
  uint32_t total = 0;
  uint32_t nibble_bytes = 0;
  for (uint32_t group = 0; group < sparsesep_group_count(h); ++group) {
    const uint32_t count = read_u16(counts + 2 * group);
    if (count % h->count_multiple != 0) return SPARSESEP_BAD_COUNT;
    total += count;
    nibble_bytes += (count + 1) / 2;
  }
  if (total != h->blocks) return SPARSESEP_BAD_COUNT;
  if (h->value_type == SPARSESEP_VALUE_PALETTE4 &&
      nibble_bytes > h->palette_offset - h->value_offset) {
    return SPARSESEP_BAD_SECTION;
  }
  return SPARSESEP_OK;
}

static SparsesepStatus check_u16(const SparsesepPackedHeader* h,
                                 const uint8_t* index) {
  const uint32_t tiles = sparsesep_tiles_per_group(h);
  uint32_t unit = 1;
  if (h->index_encoding == SPARSESEP_INDEX_OFFSET16) {
    unit =
        4u * (h->major == SPARSESEP_MAJOR_ROW ? h->block_cols : h->block_rows);
  }
  for (uint32_t i = 0; i < h->blocks; ++i) {
    const uint32_t at = read_u16(index + 2 * i);
    if (at % unit != 0 || at / unit >= tiles) return SPARSESEP_BAD_INDEX;
  }
  return SPARSESEP_OK;
}

static SparsesepStatus check_delta8(const SparsesepPackedHeader* h,
                                    const uint8_t* counts,
                                    const uint8_t* delta) {
  const uint32_t tiles = sparsesep_tiles_per_group(h);
  for (uint32_t group = 0; group < sparsesep_group_count(h); ++group) {
    uint32_t tile = 0;
    for (uint32_t n = read_u16(counts + 2 * group); n > 0; --n) {
      tile += *delta++;
      if (tile >= tiles) return SPARSESEP_BAD_INDEX;
    }
  }
  return SPARSESEP_OK;
}

static SparsesepStatus check_gap4(const SparsesepPackedHeader* h,
                                  const uint8_t* counts, const uint8_t* stream,
                                  const uint8_t* end) {
  const uint32_t tiles = sparsesep_tiles_per_group(h);
  for (uint32_t group = 0; group < sparsesep_group_count(h); ++group) {
    uint32_t tile = 0;  // the next that a block could sit at
    uint32_t nibbles = 0;
    for (uint32_t n = read_u16(counts + 2 * group); n > 0; ++nibbles) {
      const uint8_t* at = stream + nibbles / 2;
      if (at >= end) return SPARSESEP_BAD_INDEX;
      const uint32_t gap = nibbles % 2 == 0 ? *at & 15u : *at >> 4;
      tile += gap;
      if (tile >= tiles) return SPARSESEP_BAD_INDEX;
      if (gap < 15) {
        ++tile;
        --n;
      }
    }
    stream += (nibbles + 1) / 2;
  }
  return SPARSESEP_OK;
}

static SparsesepStatus check_window8(const SparsesepPackedHeader* h,
                                     const uint8_t* counts,
                                     const uint8_t* stream,
                                     const uint8_t* end) {
  const uint32_t tiles = sparsesep_tiles_per_group(h);
  const uint32_t unit = sparsesep_window_unit(h);
  const uint32_t run = sparsesep_run_blocks(h);
  for (uint32_t group = 0; group < sparsesep_group_count(h); ++group) {
    const uint32_t count = read_u16(counts + 2 * group);
    uint32_t window = 0;
    for (uint32_t n = 0; n < count; ++n) {
      if (unit > 1 && n % run == 0) {
        if (stream >= end) return SPARSESEP_BAD_INDEX;
        window = *stream++ * unit;
      }
      if (stream >= end || window + *stream >= tiles) {
        return SPARSESEP_BAD_INDEX;
      }
      ++stream;
    }
  }
  return SPARSESEP_OK;
}

static uint32_t bit_count(uint32_t byte) {
  uint32_t count = 0;
  for (; byte != 0; byte &= byte - 1) ++count;
  return count;
}

static SparsesepStatus check_bitmap(const SparsesepPackedHeader* h,
                                    const uint8_t* counts,
                                    const uint8_t* bitmap) {
  const uint32_t tiles = sparsesep_tiles_per_group(h);
  for (uint32_t group = 0; group < sparsesep_group_count(h); ++group) {
    uint32_t count = 0;
    for (uint32_t tile = 0; tile < tiles; tile += 8) {
      const uint32_t bits = *bitmap++;
      if (tile + 8 > tiles && bits >> (tiles - tile) != 0) {
        return SPARSESEP_BAD_INDEX;
      }
      count += bit_count(bits);
    }
    if (count != read_u16(counts + 2 * group)) return SPARSESEP_BAD_COUNT;
  }
  return SPARSESEP_OK;
}

static SparsesepStatus check_indices(const SparsesepPackedHeader* h,
                                     const uint8_t* blob) {
  const uint8_t* counts = blob + h->counts_offset;
  const uint8_t* index = blob + h->index_offset;
  switch (h->index_encoding) {
    case SPARSESEP_INDEX_DELTA8:
      return check_delta8(h, counts, index);
    case SPARSESEP_INDEX_GAP4:
      return check_gap4(h, counts, index, blob + h->value_offset);
    case SPARSESEP_INDEX_BITMAP:
      return check_bitmap(h, counts, index);
    case SPARSESEP_INDEX_WINDOW8:
      return check_window8(h, counts, index, blob + h->value_offset);
    default:
      return check_u16(h, index);
  }
}

static SparsesepStatus check_requantisation(const SparsesepPackedHeader* h,
                                            const uint8_t* blob) {
  if (h->value_type == SPARSESEP_VALUE_FLOAT32) return SPARSESEP_OK;
  const uint8_t* multiplier = blob + h->multiplier_offset;
  const uint8_t* shift = blob + h->shift_offset;
  const int highest = h->flags & SPARSESEP_FLAG_BOUNDED ? -1 : 30;
  for (uint32_t row = 0; row < h->rows; ++row) {
    const int8_t s = (int8_t)shift[row];
    if (read_u32(multiplier + 4 * row) > INT32_MAX || s < -31 || s > highest) {
      return SPARSESEP_BAD_VALUE;
    }
  }
  return SPARSESEP_OK;
}

SparsesepStatus sparsesep_validate_packed_weights(const void* blob,
                                                  size_t blob_bytes) {
  SparsesepPackedHeader h;
  if (blob == NULL || blob_bytes < sizeof(h)) return SPARSESEP_BAD_HEADER;
  memcpy(&h, blob, sizeof(h));
  if (h.magic != SPARSESEP_PACKED_MAGIC ||
      h.version != SPARSESEP_PACKED_VERSION) {
    return SPARSESEP_BAD_HEADER;
  }

  SparsesepStatus status = check_shape(&h);
  if (status == SPARSESEP_OK) status = check_encodings(&h);
  if (status == SPARSESEP_OK) status = check_sections(&h, blob_bytes);
  if (status == SPARSESEP_OK) status = check_counts(&h, blob);
  if (status == SPARSESEP_OK) status = check_indices(&h, blob);
  if (status == SPARSESEP_OK) status = check_requantisation(&h, blob);
  return status;
}
