#include "sparse_fully_connected/variants.h"
#include "sparsesep/compiler.h"

#define SPARSESEP_VARIANT(name, ...) SPARSESEP_IF_LINKED(name, #name, )
static const char *const sparsesep_variant_names[] = {
#include "sparse_fully_connected/variants.inc"
};

SPARSESEP_COLD
const char *sparsesep_fully_connected_variant_name(
    const SparsesepFullyConnectedVariant *variant) {
  return sparsesep_variant_names[variant - sparsesep_fully_connected_variants];
}
