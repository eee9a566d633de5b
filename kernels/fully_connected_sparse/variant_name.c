#include "sparsesep/compiler.h"
#include "variants.h"

#define SPARSESEP_VARIANT(name, ...) SPARSESEP_IF_LINKED(name, #name, )
static const char *const sparsesep_variant_names[] = {
#include "variants.inc"
};

SPARSESEP_COLD
const char *sparsesep_fully_connected_variant_name(
    const SparsesepFullyConnectedVariant *variant) {
  return sparsesep_variant_names[variant - sparsesep_fully_connected_variants];
}
