#include "separable_conv/dsp.h"
#include "separable_conv/float_row.h"
#include "separable_conv/frame.h"
#include "separable_conv/variants.h"
#include "separable_conv/wide.h"
#include "sparsesep/compiler.h"

#define SPARSESEP_SEPARABLE_VARIANT(name, value, order, scratch_query) \
  {sparsesep_separable_conv_##name, scratch_query,                     \
   SPARSESEP_SEPARABLE_##value, SPARSESEP_SEPARABLE_##order},
const SparsesepSeparableConvVariant sparsesep_separable_conv_variants[] = {
#include "variants/variants_here.inc"
};
enum {
  VARIANTS = sizeof(sparsesep_separable_conv_variants) /
             sizeof(sparsesep_separable_conv_variants[0])
};

SPARSESEP_COLD
const SparsesepSeparableConvVariant* sparsesep_select_separable_conv(
    const SparsesepSeparableConv* conv) {
  const SparsesepSeparableConvVariant* variant =
      sparsesep_separable_conv_variants;
  for (uint32_t n = VARIANTS; n > 0; --n, ++variant) {
    if (variant->value_type == conv->value_type &&
        variant->order == conv->order) {
      return variant;
    }
  }
  return 0;
}
