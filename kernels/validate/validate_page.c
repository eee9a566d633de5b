#include <string.h>

#include "sparsesep/compiler.h"
#include "sparsesep/paged_weights.h"

SPARSESEP_COLD
SparsesepStatus sparsesep_validate_page(const SparsesepPagedHeader* table,
                                        const SparsesepPage* page,
                                        const SparsesepPackedHeader* blob) {
  _Static_assert(offsetof(SparsesepPagedHeader, value_order) -
                         offsetof(SparsesepPagedHeader, value_type) ==
                     6,
                 "the layout: seven fields side by side");
  const SparsesepStatus status =
      sparsesep_validate_packed_weights(blob, page->bytes);
  if (status != SPARSESEP_OK) return status;
  return memcmp(&blob->value_type, &table->value_type, 7) == 0 &&
                 blob->rows == page->rows && blob->cols == table->cols
             ? SPARSESEP_OK
             : SPARSESEP_BAD_SHAPE;
}
