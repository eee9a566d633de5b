#include "host/device_variants.h"

#include <string.h>

#include "sparse_fully_connected/scratch_queries.h"
#include "sparse_fully_connected/variants.h"
#include "sparsesep/sparse_conv.h"

// A row of variants.inc: everything but the kernel.
typedef struct DeviceVariant {
  const char* name;
  SparsesepFullyConnectedVariant variant;
} DeviceVariant;

#define DEVICE_VARIANT(name, ...) \
  {#name, SPARSESEP_VARIANT_MEMBERS(NULL, __VA_ARGS__)},

#undef SPARSESEP_ISA
#define SPARSESEP_ISA SPARSESEP_ISA_V6M
#define SPARSESEP_VARIANT DEVICE_VARIANT
static const DeviceVariant v6m[] = {
#include "sparse_fully_connected/variants.inc"
    {NULL, {0}},
};

#undef SPARSESEP_ISA
#define SPARSESEP_ISA SPARSESEP_ISA_V7M
#define SPARSESEP_VARIANT DEVICE_VARIANT
static const DeviceVariant v7m[] = {
#include "sparse_fully_connected/variants.inc"
    {NULL, {0}},
};

#undef SPARSESEP_ISA
#define SPARSESEP_ISA SPARSESEP_ISA_DSP
#define SPARSESEP_VARIANT DEVICE_VARIANT
static const DeviceVariant dsp[] = {
#include "sparse_fully_connected/variants.inc"
    {NULL, {0}},
};

#undef SPARSESEP_ISA
#define SPARSESEP_ISA SPARSESEP_ISA_MVE_FLOAT
#define SPARSESEP_VARIANT DEVICE_VARIANT
static const DeviceVariant mve[] = {
#include "sparse_fully_connected/variants.inc"
    {NULL, {0}},
};

static const struct {
  const char* isa;
  const DeviceVariant* variants;
} devices[] = {{"v6m", v6m}, {"v7m", v7m}, {"dsp", dsp}, {"mve", mve}};

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

const char* sparsesep_device_variant_name(const char* isa, const void* blob) {
  const DeviceVariant* found = find(isa, blob);
  return found == NULL ? NULL : found->name;
}

uint32_t sparsesep_device_scratch_bytes(const char* isa, const void* blob,
                                        int32_t batch) {
  const DeviceVariant* found = find(isa, blob);
  return found == NULL ? 0 : found->variant.scratch_bytes(blob, batch);
}

uint64_t sparsesep_device_conv_scratch_bytes(const char* isa, const void* blob,
                                             int32_t height, int32_t width) {
  const SparsesepSparseConv* conv = blob;
  const SparsesepPackedHeader* weights = sparsesep_sparse_conv_weights(conv);
  const SparsesepFullyConnectedVariant* variant = NULL;
  if (isa == NULL) {
    variant = sparsesep_select_fully_connected(weights);
  } else {
    const DeviceVariant* found = find(isa, weights);
    if (found != NULL) variant = &found->variant;
  }
  SparsesepConvShape shape = {1, height, width, 0, 0, 0, 0};
  if (variant == NULL ||
      sparsesep_sparse_conv_shape(conv, &shape) != SPARSESEP_OK) {
    return 0;
  }
  return sparsesep_sparse_conv_scratch_bytes(conv, &shape, variant);
}
