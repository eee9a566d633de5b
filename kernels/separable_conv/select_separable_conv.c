#include "separable_conv/dsp.h"
#include "separable_conv/float_row.h"
#include "separable_conv/frame.h"
#include "separable_conv/variants.h"
#include "separable_conv/wide.h"
#include "sparsesep/compiler.h"

#define SPARSESEP_SEPARABLE_VARIANT(name, value, order, scratch) \
  {#name, sparsesep_separable_conv_##name, scratch,              \
   SPARSESEP_SEPARABLE_##value, SPARSESEP_SEPARABLE_##order},
static const SparsesepSeparableConvVariant variants[] = {
#include "separable_conv/variants.inc"
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
