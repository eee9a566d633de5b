#include "dsp.h"
#include "float_row.h"
#include "frame.h"
#include "sparsesep/compiler.h"
#include "variants.h"
#include "wide.h"

#define SPARSESEP_SEPARABLE_VARIANT(name, value, order, scratch) \
  {#name, sparsesep_conv_separable_##name, scratch,              \
   SPARSESEP_SEPARABLE_##value, SPARSESEP_SEPARABLE_##order},
static const SparsesepSeparableConvVariant variants[] = {
#include "variants.inc"
    {0},
};

SPARSESEP_COLD
const SparsesepSeparableConvVariant* sparsesep_select_separable_conv(
    const SparsesepSeparableConv* conv) {
  for (const SparsesepSeparableConvVariant* v = variants; v->name; ++v) {
    if (v->value_type == conv->value_type && v->order == conv->order) return v;
  }
  return 0;
}
