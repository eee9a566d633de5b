#include <string.h>

#include "sparsesep/packed_weights.h"

// Byte-wise reads: an unvalidated blob may start at any address.
static uint16_t read_u16(const uint8_t* p) {
  return (uint16_t)(p[0] | (uint16_t)(p[1] << 8));
}

static uint32_t read_u32(const uint8_t* p) {
  return (uint32_t)read_u16(p) | ((uint32_t)read_u16(p + 2) << 16);
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

// Encodings that no kernel of this version reads are refused here, so that
// whatever passes has been checked to the last byte.
static SparsesepStatus check_encodings(const SparsesepPackedHeader* h) {
  const uint32_t known_flags = SPARSESEP_FLAG_BIAS_FOLDED;
  if (h->value_type != SPARSESEP_VALUE_INT8 ||
      h->index_encoding > SPARSESEP_INDEX_DELTA8 ||
      h->major != SPARSESEP_MAJOR_ROW ||
      h->value_order != SPARSESEP_ORDER_NATURAL ||
      (h->flags & ~known_flags) != 0) {
    return SPARSESEP_UNSUPPORTED;
  }
  return SPARSESEP_OK;
}

static uint64_t index_bytes_at_least(const SparsesepPackedHeader* h) {
  return (uint64_t)h->blocks *
         (h->index_encoding == SPARSESEP_INDEX_U16 ? 2u : 1u);
}

// Walks the sections in file order: each must hold what it claims and end
// before the next one starts.
static SparsesepStatus check_sections(const SparsesepPackedHeader* h,
                                      size_t blob_bytes) {
  const uint64_t rows = h->rows;
  const struct {
    uint32_t offset;
    uint32_t alignment;
    uint64_t bytes;
  } sections[] = {
      {h->bias_offset, 4, 4 * rows},
      {h->multiplier_offset, 4, 4 * rows},
      {h->shift_offset, 1, rows},
      {h->counts_offset, 2, 2 * (uint64_t)sparsesep_group_count(h)},
      {h->index_offset, 4, index_bytes_at_least(h)},
      {h->value_offset, 4, (uint64_t)h->blocks * h->block_rows * h->block_cols},
      {h->palette_offset, 1, 0},
      {h->permutation_offset, 1, 0},
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
  for (uint32_t group = 0; group < sparsesep_group_count(h); ++group) {
    const uint32_t count = read_u16(counts + 2 * group);
    if (count % h->count_multiple != 0) return SPARSESEP_BAD_COUNT;
    total += count;
  }
  return total == h->blocks ? SPARSESEP_OK : SPARSESEP_BAD_COUNT;
}

static SparsesepStatus check_indices_u16(const SparsesepPackedHeader* h,
                                         const uint8_t* blob) {
  const uint8_t* index = blob + h->index_offset;
  const uint32_t tiles = sparsesep_tiles_per_group(h);
  for (uint32_t i = 0; i < h->blocks; ++i) {
    if (read_u16(index + 2 * i) >= tiles) return SPARSESEP_BAD_INDEX;
  }
  return SPARSESEP_OK;
}

static SparsesepStatus check_indices_delta8(const SparsesepPackedHeader* h,
                                            const uint8_t* blob) {
  const uint8_t* counts = blob + h->counts_offset;
  const uint8_t* delta = blob + h->index_offset;
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

static SparsesepStatus check_indices(const SparsesepPackedHeader* h,
                                     const uint8_t* blob) {
  return h->index_encoding == SPARSESEP_INDEX_U16
             ? check_indices_u16(h, blob)
             : check_indices_delta8(h, blob);
}

static SparsesepStatus check_requantisation(const SparsesepPackedHeader* h,
                                            const uint8_t* blob) {
  const uint8_t* multiplier = blob + h->multiplier_offset;
  const uint8_t* shift = blob + h->shift_offset;
  for (uint32_t row = 0; row < h->rows; ++row) {
    const int8_t s = (int8_t)shift[row];
    if (read_u32(multiplier + 4 * row) > INT32_MAX || s < -31 || s > 30) {
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
