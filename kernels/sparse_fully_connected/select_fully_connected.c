#include "sparse_fully_connected/runs_here.h"
#include "sparse_fully_connected/scratch_queries.h"
#include "sparse_fully_connected/variants.h"
#include "sparsesep/compiler.h"

#define SPARSESEP_VARIANT(layout, isa, scratch_query)                     \
  SPARSESEP_IF_LINKED(layout##_##isa,                                     \
                      {SPARSESEP_KERNEL_NAME(layout, isa), scratch_query, \
                       SPARSESEP_LAYOUT_MEMBERS(layout)}, )
const SparsesepFullyConnectedVariant sparsesep_fully_connected_variants[] = {
#include "variants/variants_here.inc"
};
enum {
  VARIANTS = sizeof(sparsesep_fully_connected_variants) /
             sizeof(sparsesep_fully_connected_variants[0])
};

#ifdef SPARSESEP_SELECTED_VARIANTS
_Static_assert(VARIANTS == SPARSESEP_SELECTED_VARIANT_COUNT,
               "sparsesep_variants.h was made for another target or version");
#endif

SPARSESEP_COLD
const SparsesepFullyConnectedVariant* sparsesep_select_fully_connected(
    const SparsesepPackedHeader* weights) {
  const SparsesepFullyConnectedVariant* variant =
      sparsesep_fully_connected_variants;
  for (uint32_t n = VARIANTS; n > 0; --n, ++variant) {
    if (sparsesep_variant_fits(variant, weights) &&
        sparsesep_runs_here(variant)) {
      return variant;
    }
  }
  return 0;
}
