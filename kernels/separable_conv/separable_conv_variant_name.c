#include "separable_conv/variants.h"
#include "sparsesep/compiler.h"

#define SPARSESEP_SEPARABLE_VARIANT(name, ...) #name,
static const char* const sparsesep_variant_names[] = {
#include "variants/variants_here.inc"
};

SPARSESEP_COLD
const char* sparsesep_separable_conv_variant_name(
    const SparsesepSeparableConvVariant* variant) {
  return sparsesep_variant_names[variant - sparsesep_separable_conv_variants];
}
