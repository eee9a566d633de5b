#include "columns.h"
#include "mve.h"
#include "padded_vector.h"
#include "rows_dsp.h"
#include "sparsesep/compiler.h"
#include "variants.h"

static uint32_t sparsesep_no_scratch(const SparsesepPackedHeader* weights,
                                     int32_t batch) {
  (void)weights;
  (void)batch;
  return 0;
}

#define SPARSESEP_VARIANT(name, value, index, major, block_rows, block_cols, \
                          count_multiple, order, scratch)                    \
  {#name,                                                                    \
   sparsesep_fully_connected_##name,                                         \
   scratch,                                                                  \
   SPARSESEP_VALUE_##value,                                                  \
   SPARSESEP_INDEX_##index,                                                  \
   SPARSESEP_MAJOR_##major,                                                  \
   block_rows,                                                               \
   block_cols,                                                               \
   count_multiple,                                                           \
   SPARSESEP_ORDER_##order},
static const SparsesepFullyConnectedVariant variants[] = {
#include "variants.inc"
    {0},
};

// Count multiples are powers of two.
static int runs(const SparsesepFullyConnectedVariant* v,
                const SparsesepPackedHeader* h) {
  return v->value_type == h->value_type &&
         v->index_encoding == h->index_encoding && v->major == h->major &&
         v->block_rows == h->block_rows && v->block_cols == h->block_cols &&
         (h->count_multiple & (v->count_multiple - 1)) == 0 &&
         v->value_order == h->value_order;
}

const SparsesepFullyConnectedVariant* sparsesep_fully_connected_variants(void) {
  return variants;
}

SPARSESEP_COLD
const SparsesepFullyConnectedVariant* sparsesep_select_fully_connected(
    const SparsesepPackedHeader* weights) {
  for (const SparsesepFullyConnectedVariant* v = variants; v->name; ++v) {
    if (runs(v, weights)) return v;
  }
  return 0;
}
