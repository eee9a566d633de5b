#include <string.h>

#include "depthwise_conv/depthwise.h"
#include "host/device_variants.h"

// A row of a list of variants: everything but the functions.
typedef struct DeviceVariant {
  const char* name;
  SparsesepDepthwiseVariant variant;
} DeviceVariant;

#define SPARSESEP_VARIANT(...)
#define SPARSESEP_SEPARABLE_VARIANT(...)
#define SPARSESEP_DEPTHWISE_VARIANT(name, form, channels, needs, rows, ...) \
  {"depthwise_" #name,                                                      \
   {SPARSESEP_STRIP_##form, channels, SPARSESEP_NEEDS_##needs, (rows) == 2, \
    NULL, NULL, NULL}},
static const DeviceVariant v6m[] = {
#include "variants/variants_v6m.inc"
};
static const DeviceVariant v7m[] = {
#include "variants/variants_v7m.inc"
};
static const DeviceVariant dsp[] = {
#include "variants/variants_dsp.inc"
};
static const DeviceVariant mve[] = {
#include "variants/variants_mve.inc"
};

static const DeviceVariant generic[] = {
#include "variants/variants_generic.inc"
};

static const struct {
  const char* isa;
  const DeviceVariant* variants;
} devices[] = {{"v6m", v6m},
               {"v7m", v7m},
               {"dsp", dsp},
               {"mve", mve},
               {"generic", generic}};

// NULL for an unknown ISA. The last variant of a list runs every blob.
static const DeviceVariant* find(const char* isa, const void* blob) {
  for (size_t i = 0; i < sizeof(devices) / sizeof(devices[0]); ++i) {
    if (strcmp(devices[i].isa, isa) != 0) continue;
    const DeviceVariant* found = devices[i].variants;
    while (!sparsesep_depthwise_variant_fits(&found->variant, blob)) ++found;
    return found;
  }
  return NULL;
}

const char* sparsesep_host_depthwise_variant_name(const char* isa,
                                                  const void* blob) {
  if (isa == NULL) {
    return sparsesep_depthwise_variant_name(
        sparsesep_select_depthwise_conv(blob));
  }
  const DeviceVariant* found = find(isa, blob);
  return found == NULL ? NULL : found->name;
}

uint64_t sparsesep_host_depthwise_scratch_bytes(const char* isa,
                                                const void* blob,
                                                int32_t height, int32_t width) {
  const SparsesepDepthwiseVariant* variant = NULL;
  if (isa == NULL) {
    variant = sparsesep_select_depthwise_conv(blob);
  } else {
    const DeviceVariant* found = find(isa, blob);
    if (found != NULL) variant = &found->variant;
  }
  SparsesepConvShape shape = {1, height, width, 0, 0, 0, 0};
  if (variant == NULL ||
      sparsesep_depthwise_conv_shape(blob, &shape) != SPARSESEP_OK) {
    return 0;
  }
  int32_t pixels;
  const uint64_t own =
      sparsesep_depthwise_own_scratch_bytes(blob, &shape, variant, &pixels);
  if (pixels == 0) return own;
  return own + sparsesep_host_scratch_bytes(
                   isa, sparsesep_depthwise_pointwise(blob), pixels);
}
