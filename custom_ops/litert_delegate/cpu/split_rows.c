#include "cpu/split_rows.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "sparse_fully_connected/gap4.h"

// A position in the streams of a blob, in bytes from the start of a section.
typedef struct Position {
  uint32_t group;
  uint32_t blocks;
  uint32_t index;
  uint32_t value;
} Position;

static uint32_t index_bytes(const SparsesepPackedHeader* weights,
                            const uint8_t* index, uint32_t count) {
  const uint32_t run = sparsesep_run_blocks(weights);
  uint32_t nibbles = 0;
  switch (weights->index_encoding) {
    case SPARSESEP_INDEX_DENSE:
      return 0;
    case SPARSESEP_INDEX_DELTA8:
      return count;
    case SPARSESEP_INDEX_GAP4:
      for (uint32_t i = 0; i < count; ++i) sparsesep_next_gap(index, &nibbles);
      return (nibbles + 1) / 2;
    case SPARSESEP_INDEX_WINDOW8:
      return sparsesep_window_unit(weights) > 1
                 ? count + (count + run - 1) / run
                 : count;
    default:
      return 2 * count;
  }
}

static uint32_t value_bytes(const SparsesepPackedHeader* weights,
                            uint32_t count) {
  const uint32_t values = count * weights->block_rows * weights->block_cols;
  switch (weights->value_type) {
    case SPARSESEP_VALUE_PALETTE4:
      return (values + 1) / 2;
    case SPARSESEP_VALUE_FLOAT32:
      return 4 * values;
    default:
      return values;
  }
}

static void pass_group(const SparsesepPackedHeader* weights,
                       Position* position) {
  const uint16_t* counts = sparsesep_section(weights, weights->counts_offset);
  const uint8_t* index = sparsesep_section(weights, weights->index_offset);
  const uint32_t count = counts[position->group++];
  position->index += index_bytes(weights, index + position->index, count);
  position->value += value_bytes(weights, count);
  position->blocks += count;
}

// Appends a section at a multiple of 16. Only counts if `blob` is NULL.
static uint32_t append(uint8_t* blob, uint32_t* bytes, const void* section,
                       uint32_t section_bytes) {
  const uint32_t offset = *bytes;
  if (blob != NULL) memcpy(blob + offset, section, section_bytes);
  *bytes = (offset + section_bytes + 15u) & ~15u;
  return offset;
}

// Writes the blob of the groups from `start` to `end`; returns its size.
static uint32_t write_part(const SparsesepPackedHeader* weights,
                           const Position* start, const Position* end,
                           uint8_t* blob) {
  const uint8_t* base = (const uint8_t*)weights;
  const uint32_t first = start->group * weights->block_rows;
  const uint32_t limit = end->group * weights->block_rows;
  const uint32_t rows = (limit < weights->rows ? limit : weights->rows) - first;
  const uint32_t parameters =
      weights->value_type == SPARSESEP_VALUE_FLOAT32 ? 0 : rows;
  const uint32_t palette =
      weights->value_type == SPARSESEP_VALUE_PALETTE4 ? 16 : 0;
  SparsesepPackedHeader header = *weights;
  uint32_t bytes = sizeof(header);
  header.rows = rows;
  header.blocks = end->blocks - start->blocks;
  header.bias_offset =
      append(blob, &bytes, base + weights->bias_offset + 4 * first, 4 * rows);
  header.multiplier_offset =
      append(blob, &bytes, base + weights->multiplier_offset + 4 * first,
             4 * parameters);
  header.shift_offset =
      append(blob, &bytes, base + weights->shift_offset + first, parameters);
  header.counts_offset =
      append(blob, &bytes, base + weights->counts_offset + 2 * start->group,
             2 * (end->group - start->group));
  header.index_offset =
      append(blob, &bytes, base + weights->index_offset + start->index,
             end->index - start->index);
  header.value_offset =
      append(blob, &bytes, base + weights->value_offset + start->value,
             end->value - start->value);
  header.palette_offset =
      append(blob, &bytes, base + weights->palette_offset, palette);
  header.bytes = bytes;
  if (blob != NULL) memcpy(blob, &header, sizeof(header));
  return bytes;
}

static SparsesepPackedHeader* make_part(const SparsesepPackedHeader* weights,
                                        const Position* start,
                                        const Position* end) {
  const uint32_t bytes = write_part(weights, start, end, NULL);
  uint8_t* blob = aligned_alloc(SPARSESEP_PACKED_ALIGNMENT, bytes);
  if (blob == NULL) return NULL;
  memset(blob, 0, bytes);
  write_part(weights, start, end, blob);
  return (SparsesepPackedHeader*)blob;
}

int32_t sparsesep_split_rows(const SparsesepPackedHeader* weights,
                             int32_t most_parts, SparsesepPackedHeader** parts,
                             uint32_t* first_rows) {
  const uint32_t groups = sparsesep_group_count(weights);
  Position start = {0, 0, 0, 0};
  Position end = start;
  int32_t count = 0;
  while (end.group < groups) {
    pass_group(weights, &end);
    // Parts 0 to `count` should hold this number of blocks together.
    const uint64_t share = (uint64_t)weights->blocks * (uint64_t)(count + 1) /
                           (uint64_t)most_parts;
    const bool last = count == most_parts - 1;
    if (end.group < groups && (last || end.blocks < share)) continue;
    parts[count] = make_part(weights, &start, &end);
    if (parts[count] == NULL) {
      while (count > 0) {
        free(parts[--count]);
        parts[count] = NULL;
      }
      return 0;
    }
    first_rows[count++] = start.group * weights->block_rows;
    start = end;
  }
  return count;
}
