#include "depthwise_conv/depthwise.h"
#include "sparsesep/compiler.h"

#define SPARSESEP_DEPTHWISE_VARIANT(name, form, channels, needs, rows, put, \
                                    pack)                                   \
  {SPARSESEP_STRIP_##form,    channels,                                     \
   SPARSESEP_NEEDS_##needs,   (rows) == 2,                                  \
   sparsesep_put_##put,       sparsesep_pack_##pack,                        \
   sparsesep_depthwise_##name},
static const SparsesepDepthwiseVariant variants[] = {
#include "variants/variants_here.inc"
};

// Lines go along either axis: both strides count.
int sparsesep_depthwise_variant_fits(const SparsesepDepthwiseVariant* variant,
                                     const SparsesepDepthwiseConv* conv) {
  if (variant->needs == SPARSESEP_NEEDS_NOTHING) return 1;
  if (TFLITE_SINGLE_ROUNDING ||
      (conv->flags & SPARSESEP_DEPTHWISE_BOUNDED) == 0) {
    return 0;
  }
  return variant->needs == SPARSESEP_NEEDS_BOUNDED ||
         (conv->kernel_height == 3 && conv->kernel_width == 3 &&
          conv->stride_height <= 2 && conv->stride_width <= 2 &&
          conv->dilation_height == 1 && conv->dilation_width == 1);
}

SPARSESEP_COLD
const SparsesepDepthwiseVariant* sparsesep_select_depthwise_conv(
    const SparsesepDepthwiseConv* conv) {
  const SparsesepDepthwiseVariant* variant = variants;
  if (conv->kind == SPARSESEP_KIND_BLOCK &&
      sparsesep_select_fully_connected(sparsesep_depthwise_pointwise(conv)) ==
          NULL) {
    return NULL;
  }
  while (!sparsesep_depthwise_variant_fits(variant, conv)) ++variant;
  return variant;
}

#define SPARSESEP_DEPTHWISE_VARIANT(name, ...) "depthwise_" #name,
static const char* const names[] = {
#include "variants/variants_here.inc"
};

SPARSESEP_COLD
const char* sparsesep_depthwise_variant_name(
    const SparsesepDepthwiseVariant* variant) {
  return names[variant - variants];
}
