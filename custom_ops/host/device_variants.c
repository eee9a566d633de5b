#include "host/device_variants.h"

#include <string.h>

#include "sparse_conv/strip.h"
#include "sparse_fully_connected/scratch_queries.h"
#include "sparse_fully_connected/variants.h"
#include "sparsesep/sparse_conv.h"

// A row of a list of variants: everything but the kernel.
typedef struct DeviceVariant {
  const char* name;
  SparsesepFullyConnectedVariant variant;
} DeviceVariant;

#define SPARSESEP_VARIANT(layout, isa, scratch_query) \
  {#layout "_" #isa, {NULL, scratch_query, SPARSESEP_LAYOUT_MEMBERS(layout)}},
#define SPARSESEP_SEPARABLE_VARIANT(...)
#define SPARSESEP_DEPTHWISE_VARIANT(...)
static const DeviceVariant v6m[] = {
#include "variants/variants_v6m.inc"
    {NULL, {0}},
};
static const DeviceVariant v7m[] = {
#include "variants/variants_v7m.inc"
    {NULL, {0}},
};
static const DeviceVariant dsp[] = {
#include "variants/variants_dsp.inc"
    {NULL, {0}},
};
static const DeviceVariant mve[] = {
#include "variants/variants_mve.inc"
    {NULL, {0}},
};
static const DeviceVariant generic[] = {
#include "variants/variants_generic.inc"
    {NULL, {0}},
};

static const struct {
  const char* isa;
  const DeviceVariant* variants;
} devices[] = {{"v6m", v6m},
               {"v7m", v7m},
               {"dsp", dsp},
               {"mve", mve},
               {"generic", generic}};

#define SPARSESEP_LAYOUT(name, ...)     \
  {.magic = SPARSESEP_PACKED_MAGIC,     \
   .version = SPARSESEP_PACKED_VERSION, \
   SPARSESEP_LAYOUT_MEMBERS(name)},
static const SparsesepPackedHeader layouts[] = {
#include "sparse_fully_connected/layouts.inc"
};

// NULL for an unknown ISA, too.
static const DeviceVariant* find(const char* isa, const void* blob) {
  for (size_t i = 0; i < sizeof(devices) / sizeof(devices[0]); ++i) {
    if (strcmp(devices[i].isa, isa) != 0) continue;
    for (const DeviceVariant* v = devices[i].variants; v->name; ++v) {
      if (sparsesep_variant_fits(&v->variant, blob)) return v;
    }
  }
  return NULL;
}

const char* sparsesep_host_variant_name(const char* isa, const void* blob) {
  if (isa == NULL) {
    const SparsesepFullyConnectedVariant* here =
        sparsesep_select_fully_connected(blob);
    return here == NULL ? NULL : sparsesep_fully_connected_variant_name(here);
  }
  const DeviceVariant* found = find(isa, blob);
  return found == NULL ? NULL : found->name;
}

uint32_t sparsesep_host_scratch_bytes(const char* isa, const void* blob,
                                      int32_t batch) {
  if (isa == NULL) {
    return sparsesep_select_fully_connected(blob)->scratch_bytes(blob, batch);
  }
  return find(isa, blob)->variant.scratch_bytes(blob, batch);
}

const void* sparsesep_host_layout(size_t number) {
  return number < sizeof(layouts) / sizeof(layouts[0]) ? &layouts[number]
                                                       : NULL;
}

uint64_t sparsesep_host_conv_scratch_bytes(const char* isa, const void* blob,
                                           int32_t height, int32_t width) {
  const SparsesepSparseConv* conv = blob;
  const SparsesepPackedHeader* weights = sparsesep_sparse_conv_weights(conv);
  SparsesepConvShape shape = {1, height, width, 0, 0, 0, 0};
  if (sparsesep_sparse_conv_shape(conv, &shape) != SPARSESEP_OK) return 0;
  if (isa == NULL) {
    const SparsesepFullyConnectedVariant* here =
        sparsesep_select_fully_connected(weights);
    return here == NULL
               ? 0
               : sparsesep_sparse_conv_scratch_bytes(conv, &shape, here);
  }
  const DeviceVariant* found = find(isa, weights);
  if (found == NULL) return 0;
  const SparsesepImageStrip strip = sparsesep_make_strip(
      conv, &shape, SPARSESEP_SHARED_PIXELS, SPARSESEP_OWN_PIXELS,
      strcmp(isa, "dsp") == 0 ? sparsesep_dsp_vectors_at_once(weights) : 1);
  return sparsesep_strip_scratch_bytes(conv, &strip, &found->variant);
}
