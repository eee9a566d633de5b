// Paged weights, version 1: packed weights in a memory that cannot be
// addressed, such as a serial flash, with their table of contents in the model.
//
// A page is a complete packed blob (packed_weights.h) of consecutive rows of
// the layer, its last bytes zeros up to a multiple of 16. The pages of a layer
// follow each other in the external memory. Every kernel runs a page as
// it runs a blob: its outputs are the layer's from the page's first row on.
//
// The model's constant tensor holds, little-endian, 16-byte aligned:
//
//   header        SparsesepPagedHeader, 32 bytes
//   pages         SparsesepPage[pages], 12 bytes each
//
// `converters/blob/paged_format.py` mirrors this file and a test holds the two
// against each other.
#ifndef SPARSESEP_PAGED_WEIGHTS_H_
#define SPARSESEP_PAGED_WEIGHTS_H_

#include <stddef.h>
#include <stdint.h>

#include "sparsesep/packed_weights.h"
#include "sparsesep/status.h"

#ifdef __cplusplus
extern "C" {
#endif

#define SPARSESEP_PAGED_MAGIC 0x31505053u  // "SPP1"
#define SPARSESEP_PAGED_VERSION 1
#define SPARSESEP_PAGE_ALIGNMENT 16

// The first 12 bytes are those of SparsesepPackedHeader, but for the magic: the
// layout, the same in all pages.
typedef struct SparsesepPagedHeader {
  uint32_t magic;
  uint8_t version;
  uint8_t value_type;
  uint8_t index_encoding;
  uint8_t major;
  uint8_t block_rows;
  uint8_t block_cols;
  uint8_t count_multiple;
  uint8_t value_order;
  uint32_t rows;          // output units of the layer, 1..65535
  uint32_t cols;          // input units, 1..65535
  uint32_t pages;         // 1..rows
  uint32_t largest_page;  // bytes, a multiple of 16
  uint32_t offset;        // of the first page in the external memory, a
                          // multiple of 16
} SparsesepPagedHeader;

typedef struct SparsesepPage {
  uint32_t bytes;     // in the external memory, a multiple of 16
  uint32_t rows;      // output units of this page, at least 1
  uint32_t checksum;  // of these bytes: sparsesep_page_checksum()
} SparsesepPage;

static inline const SparsesepPage* sparsesep_pages(
    const SparsesepPagedHeader* table) {
  return (const SparsesepPage*)(table + 1);
}

// Checks a table of contents completely, 4-byte aligned. The pages themselves
// are elsewhere: see sparsesep_validate_page().
SparsesepStatus sparsesep_validate_paged_weights(
    const SparsesepPagedHeader* table, size_t table_bytes);

// The same of a paged convolution: the header of sparse_conv.h, 4-byte aligned,
// and a table of contents behind it.
SparsesepStatus sparsesep_validate_paged_sparse_conv(const void* blob,
                                                     size_t blob_bytes);

// The checksum of some words, going on from `checksum`, 0 at the start of a
// page: FxHash, checksum = (rotate_left(checksum, 5) ^ word) * 0x9e3779b9. It
// tells a damaged page or one of another model from the right one. It keeps
// nobody from forging one.
uint32_t sparsesep_page_checksum(uint32_t checksum, const uint32_t* words,
                                 uint32_t count);

// Checks a page of a valid table completely, as a kernel must before it reads
// one: it is a valid blob, of the table's layout and of the page's shape.
SparsesepStatus sparsesep_validate_page(const SparsesepPagedHeader* table,
                                        const SparsesepPage* page,
                                        const SparsesepPackedHeader* blob);

#ifdef __cplusplus
}
#endif

#endif  // SPARSESEP_PAGED_WEIGHTS_H_
