#include "sparsesep/compiler.h"
#include "sparsesep/paged_weights.h"
#include "sparsesep/sparse_conv.h"

SPARSESEP_COLD
SparsesepStatus sparsesep_validate_paged_sparse_conv(const void* blob,
                                                     size_t blob_bytes) {
  const SparsesepSparseConv* const conv = blob;
  if (blob == NULL || blob_bytes < sizeof(*conv)) return SPARSESEP_BAD_HEADER;
  const SparsesepPagedHeader* const table = (const void*)(conv + 1);
  const SparsesepStatus status =
      sparsesep_validate_paged_weights(table, blob_bytes - sizeof(*conv));
  return status == SPARSESEP_OK
             ? sparsesep_check_sparse_conv(conv, table->cols, table->value_type)
             : status;
}
