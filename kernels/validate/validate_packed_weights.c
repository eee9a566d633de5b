// Written for size: it runs once per model, and every image carries it. That is
// why its functions stay apart, each with few registers to fill.
#include <string.h>

#include "sparse_fully_connected/variants.h"
#include "sparsesep/compiler.h"
#include "sparsesep/packed_weights.h"
#include "sparsesep/sparsesep.h"

// A header, and what is asked of it again and again.
typedef struct Blob {
  SparsesepPackedHeader h;
  const uint8_t* bytes;  // may start at any address: read byte by byte
  uint32_t groups;
  uint32_t tiles;  // of a group
} Blob;

// Whether a header that a linked variant fits says so.
#define HAS_INDEX(h, encoding)                                           \
  ((SPARSESEP_LINKED_INDICES >> SPARSESEP_INDEX_##encoding & 1u) != 0 && \
   (h)->index_encoding == SPARSESEP_INDEX_##encoding)
#define HAS_VALUE(h, type)                                          \
  ((SPARSESEP_LINKED_VALUES >> SPARSESEP_VALUE_##type & 1u) != 0 && \
   (h)->value_type == SPARSESEP_VALUE_##type)

// A stream from here on. Reading beyond its end gives zeros.
typedef struct Stream {
  const uint8_t* next;
  const uint8_t* end;
  int is_short;  // something was read beyond the end
} Stream;

SPARSESEP_COLD_SHARED static uint32_t read_byte(Stream* s) {
  if (s->next < s->end) return *s->next++;
  s->is_short = 1;
  return 0;
}

SPARSESEP_COLD_SHARED static uint32_t read_u16(Stream* s) {
  const uint32_t low = read_byte(s);
  return low | read_byte(s) << 8;
}

static int dimension_is_valid(uint32_t n) {
  return n - 1 < SPARSESEP_PACKED_MAX_DIM;
}

// What a kernel of the layout takes for granted.
SPARSESEP_COLD static SparsesepStatus check_header(
    const SparsesepPackedHeader* h) {
  const uint32_t multiple = h->count_multiple;
  if (!dimension_is_valid(h->rows) || !dimension_is_valid(h->cols) ||
      (multiple & (multiple - 1)) != 0 ||
      multiple - 1 >= (HAS_INDEX(h, GAP4) ? 1u : 16u)) {
    return SPARSESEP_BAD_SHAPE;
  }
  const uint32_t flags =
      h->major == SPARSESEP_MAJOR_ROW ? SPARSESEP_FLAG_BIAS_FOLDED : 0;
  return (h->flags & ~(uint32_t)SPARSESEP_FLAG_BOUNDED) == flags &&
                 h->reserved == 0
             ? SPARSESEP_OK
             : SPARSESEP_UNSUPPORTED;
}

// Walks the sections in file order: each must hold what it claims and end
// before the next one starts. The index stream and palette codes, whose length
// depends on what they say, come later: see check_groups().
SPARSESEP_COLD static int sections_in_bounds(const Blob* b, size_t blob_bytes) {
  const SparsesepPackedHeader* h = &b->h;
  // No more than 64 bytes a block: nothing below overflows where there are
  // fewer blocks than this. Each takes a byte.
  if (h->bytes > blob_bytes || h->blocks > h->bytes ||
      h->blocks > UINT32_MAX / 64) {
    return 0;
  }
  uint32_t sizes[] = {4 * h->rows,
                      4 * h->rows,
                      h->rows,
                      2 * b->groups,
                      0,
                      h->blocks * h->block_rows * h->block_cols,
                      0};
  if (HAS_VALUE(h, FLOAT32)) {
    sizes[1] = 0;
    sizes[2] = 0;
    sizes[5] *= 4;
  } else if (HAS_VALUE(h, PALETTE4)) {
    sizes[5] = 0;
    sizes[6] = 16;
  }
  static const uint8_t alignments[] = {4, 4, 1, 2, 4, 4, 4};
  const uint32_t* offset = &h->bias_offset;  // the first of seven
  uint32_t position = sizeof(SparsesepPackedHeader);
  for (size_t i = 0; i < sizeof(alignments); ++i) {
    if (offset[i] < position || offset[i] > h->bytes ||
        sizes[i] > h->bytes - offset[i] ||
        (offset[i] & (alignments[i] - 1u)) != 0) {
      return 0;
    }
    position = offset[i] + sizes[i];
  }
  return 1;
}

SPARSESEP_COLD static int requantization_is_valid(const Blob* b) {
  if (HAS_VALUE(&b->h, FLOAT32)) return 1;
  const uint8_t* multiplier = b->bytes + b->h.multiplier_offset;
  const uint8_t* shift = b->bytes + b->h.shift_offset;
  const uint32_t highest = b->h.flags & SPARSESEP_FLAG_BOUNDED ? 30 : 61;
  for (uint32_t row = 0; row < b->h.rows; ++row) {
    const int is_negative = multiplier[4 * row + 3] >> 7;
    if (is_negative || (uint32_t)((int8_t)shift[row] + 31) > highest) return 0;
  }
  return 1;
}

// Some bytes of a stream, and advances past them; NULL where it ends before.
SPARSESEP_COLD_SHARED static const uint8_t* take(Stream* s, uint32_t bytes) {
  const uint8_t* const first = s->next;
  if (bytes > (size_t)(s->end - first)) return NULL;
  s->next += bytes;
  return first;
}

// A nibble or more a block, each the distance from the block before.
SPARSESEP_COLD static SparsesepStatus check_gaps(const Blob* b, Stream* s,
                                                 uint32_t count) {
  uint32_t at = 0;
  uint32_t nibbles = 0;
  for (uint32_t n = 0; n < count; ++n) {
    at += n != 0;
    do {
      nibbles = nibbles >= 0x100 ? nibbles >> 4 : read_byte(s) + 0x100;
      at += nibbles & 15;
    } while ((nibbles & 15) == 15 && at < b->tiles);
    if (at >= b->tiles) return SPARSESEP_BAD_INDEX;
  }
  return SPARSESEP_OK;
}

// The encodings below are those of large layers in pages, which are checked
// each time that they run: they take few instructions a block.

// A byte a block, the distance from the one before. It is not negative: where
// the last block is inside, all are.
SPARSESEP_COLD static SparsesepStatus check_deltas(const Blob* b, Stream* s,
                                                   uint32_t count) {
  const uint8_t* next = take(s, count);
  if (next == NULL) return SPARSESEP_BAD_INDEX;
  uint32_t at = 0;
  for (; count >= 4; count -= 4) {
    at += (uint32_t)next[0] + next[1] + next[2] + next[3];
    next += 4;
  }
  for (; count > 0; --count) at += *next++;
  return at < b->tiles ? SPARSESEP_OK : SPARSESEP_BAD_INDEX;
}

// A byte a block, the distance from the start of a window that 16 columns
// share. Only in the last windows it can lead outside.
SPARSESEP_COLD static SparsesepStatus check_windows(const Blob* b, Stream* s,
                                                    uint32_t count) {
  const uint32_t unit = (b->tiles + 255) / 256;
  uint32_t blocks = 16u / b->h.block_cols;
  for (; count > 0; count -= blocks) {
    const uint32_t window = unit > 1 ? read_byte(s) * unit : 0;
    if (blocks > count) blocks = count;
    const uint8_t* next = take(s, blocks);
    if (next == NULL) return SPARSESEP_BAD_INDEX;
    if (window + 255 < b->tiles) continue;
    for (const uint8_t* const end = next + blocks; next < end; ++next) {
      if (window + *next >= b->tiles) return SPARSESEP_BAD_INDEX;
    }
  }
  return SPARSESEP_OK;
}

// Two bytes a block: where it is, for some kernels in bytes of their inputs.
SPARSESEP_COLD static SparsesepStatus check_places(const Blob* b, Stream* s,
                                                   uint32_t count) {
  const SparsesepPackedHeader* h = &b->h;
  uint32_t unit = 1;  // of a place to a tile, a power of two
  if (HAS_INDEX(h, OFFSET16)) {
    unit =
        4u * (h->major == SPARSESEP_MAJOR_ROW ? h->block_cols : h->block_rows);
  }
  const uint32_t end = b->tiles * unit;
  const uint8_t* next = take(s, 2 * count);
  if (next == NULL) return SPARSESEP_BAD_INDEX;
  for (; count > 0; --count) {
    const uint32_t at = next[0] | (uint32_t)next[1] << 8;
    if (at >= end || (at & (unit - 1)) != 0) return SPARSESEP_BAD_INDEX;
    next += 2;
  }
  return SPARSESEP_OK;
}

// The indices of one group, `count` blocks.
SPARSESEP_COLD static SparsesepStatus check_indices(const Blob* b, Stream* s,
                                                    uint32_t count) {
  const SparsesepPackedHeader* h = &b->h;
  if (HAS_INDEX(h, DELTA8)) return check_deltas(b, s, count);
  if (HAS_INDEX(h, GAP4)) return check_gaps(b, s, count);
  if (HAS_INDEX(h, WINDOW8)) return check_windows(b, s, count);
  if (HAS_INDEX(h, DENSE)) {
    return count == b->tiles ? SPARSESEP_OK : SPARSESEP_BAD_COUNT;
  }
  if (HAS_INDEX(h, U16) || HAS_INDEX(h, OFFSET16)) {
    return check_places(b, s, count);
  }
  return SPARSESEP_UNSUPPORTED;
}

SPARSESEP_COLD_SHARED static SparsesepStatus check_groups(const Blob* b) {
  const SparsesepPackedHeader* h = &b->h;
  Stream index = {b->bytes + h->index_offset, b->bytes + h->value_offset, 0};
  Stream counts = {b->bytes + h->counts_offset, index.next, 0};
  uint32_t total = 0;
  uint32_t nibble_bytes = 0;
  for (uint32_t group = 0; group < b->groups; ++group) {
    const uint32_t count = read_u16(&counts);
    if ((count & (h->count_multiple - 1u)) != 0) return SPARSESEP_BAD_COUNT;
    total += count;
    nibble_bytes += (count + 1) / 2;
    const SparsesepStatus status = check_indices(b, &index, count);
    if (status != SPARSESEP_OK) return status;
    if (index.is_short) return SPARSESEP_BAD_INDEX;
  }
  if (total != h->blocks) return SPARSESEP_BAD_COUNT;
  if (HAS_VALUE(h, PALETTE4) &&
      nibble_bytes > h->palette_offset - h->value_offset) {
    return SPARSESEP_BAD_SECTION;
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
  if (sparsesep_select_fully_connected(&b.h) == NULL) {
    return SPARSESEP_UNSUPPORTED;
  }
  const SparsesepStatus status = check_header(&b.h);
  if (status != SPARSESEP_OK) return status;
  b.bytes = blob;
  b.groups = sparsesep_group_count(&b.h);
  b.tiles = sparsesep_tiles_per_group(&b.h);
  if (!sections_in_bounds(&b, blob_bytes)) return SPARSESEP_BAD_SECTION;
  if (!requantization_is_valid(&b)) return SPARSESEP_BAD_VALUE;
  return check_groups(&b);
}
