#include "sparse_fully_connected/variants.h"
#include "sparsesep/compiler.h"

#define SPARSESEP_VARIANT(layout, isa, scratch_query) \
  SPARSESEP_IF_LINKED(layout##_##isa, #layout "_" #isa, )
static const char* const sparsesep_variant_names[] = {
#include "variants/variants_here.inc"
};

SPARSESEP_COLD
const char* sparsesep_fully_connected_variant_name(
    const SparsesepFullyConnectedVariant* variant) {
  return sparsesep_variant_names[variant - sparsesep_fully_connected_variants];
}
