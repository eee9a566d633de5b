#include <string.h>

#include "sparsesep/compiler.h"
#include "sparsesep/paged_weights.h"
#include "sparsesep/sparsesep.h"

_Static_assert(sizeof(SparsesepPagedHeader) == 32, "a file format");
_Static_assert(sizeof(SparsesepPage) == 12, "a file format");

static int is_aligned(uint32_t n) {
  return (n & (SPARSESEP_PAGE_ALIGNMENT - 1)) == 0;
}

// Rows and bytes add up, and every page can be addressed.
SPARSESEP_COLD static int are_pages(const SparsesepPagedHeader* table) {
  const SparsesepPage* page = sparsesep_pages(table);
  const SparsesepPage* const end = page + table->pages;
  uint32_t rows = table->rows;
  uint32_t room = UINT32_MAX - table->offset;
  uint32_t largest = 0;
  for (; page < end; ++page) {
    if (page->rows == 0 || page->rows > rows || page->bytes > room ||
        page->bytes < sizeof(SparsesepPackedHeader) ||
        !is_aligned(page->bytes)) {
      return 0;
    }
    rows -= page->rows;
    room -= page->bytes;
    if (page->bytes > largest) largest = page->bytes;
  }
  return rows == 0 && largest == table->largest_page;
}

SPARSESEP_COLD
SparsesepStatus sparsesep_validate_paged_weights(
    const SparsesepPagedHeader* table, size_t table_bytes) {
  if (table == NULL || table_bytes < sizeof(*table) ||
      table->magic != SPARSESEP_PAGED_MAGIC ||
      table->version != SPARSESEP_PAGED_VERSION) {
    return SPARSESEP_BAD_HEADER;
  }
  if (table->rows - 1 >= SPARSESEP_PACKED_MAX_DIM ||
      table->cols - 1 >= SPARSESEP_PACKED_MAX_DIM) {
    return SPARSESEP_BAD_SHAPE;
  }
  const size_t most = (table_bytes - sizeof(*table)) / sizeof(SparsesepPage);
  if (table->pages == 0 || table->pages > most || !is_aligned(table->offset) ||
      !are_pages(table)) {
    return SPARSESEP_BAD_SECTION;
  }
  return SPARSESEP_OK;
}
