#include <string.h>

#include "sparsesep/compiler.h"
#include "sparsesep/depthwise_conv.h"
#include "sparsesep/separable_conv.h"

static int is_int8(int32_t value) {
  return value >= INT8_MIN && value <= INT8_MAX;
}

static SparsesepStatus check_stage_fields(const SparsesepSeparableConv* h,
                                          const SparsesepConvStage* stage) {
  if (stage->kernel == 0 || stage->stride == 0) return SPARSESEP_BAD_SHAPE;
  if (stage->padding > SPARSESEP_PADDING_VALID ||
      (stage->flags & ~SPARSESEP_STAGE_BOUNDED) != 0) {
    return SPARSESEP_UNSUPPORTED;
  }
  if (h->value_type == SPARSESEP_SEPARABLE_FLOAT32) return SPARSESEP_OK;
  return is_int8(stage->activation_min) && is_int8(stage->activation_max) &&
                 stage->activation_min <= stage->activation_max
             ? SPARSESEP_OK
             : SPARSESEP_BAD_VALUE;
}

static SparsesepStatus check_fields(const SparsesepSeparableConv* h) {
  const int is_int8_blob = h->value_type == SPARSESEP_SEPARABLE_INT8;
  if (h->input_channels == 0 || h->middle_channels == 0 ||
      h->output_channels == 0) {
    return SPARSESEP_BAD_SHAPE;
  }
  if ((!is_int8_blob && h->value_type != SPARSESEP_SEPARABLE_FLOAT32) ||
      h->order > (is_int8_blob ? SPARSESEP_SEPARABLE_WOVEN
                               : SPARSESEP_SEPARABLE_NATURAL) ||
      h->reserved != 0) {
    return SPARSESEP_UNSUPPORTED;
  }
  const SparsesepStatus status = check_stage_fields(h, &h->vertical);
  return status == SPARSESEP_OK ? check_stage_fields(h, &h->horizontal)
                                : status;
}

static uint64_t weights_bytes(const SparsesepSeparableConv* h,
                              const SparsesepConvStage* stage,
                              uint32_t channels, uint32_t units) {
  if (h->order == SPARSESEP_SEPARABLE_WOVEN) {
    return (uint64_t)((units + 3) & ~3u) * ((channels + 1) & ~1u) *
           stage->kernel;
  }
  const uint64_t weights = (uint64_t)units * channels * stage->kernel;
  return h->value_type == SPARSESEP_SEPARABLE_FLOAT32 ? 4 * weights : weights;
}

// Walks the sections of a stage from `position` on, and advances it past them.
static SparsesepStatus check_sections(const SparsesepSeparableConv* h,
                                      const SparsesepConvStage* stage,
                                      uint32_t channels, uint32_t units,
                                      uint32_t* position) {
  const uint32_t padded = (units + 3) & ~3u;
  const uint32_t scaled =
      h->value_type == SPARSESEP_SEPARABLE_INT8 ? padded : 0;
  const uint32_t offsets[] = {stage->bias_offset, stage->multiplier_offset,
                              stage->shift_offset, stage->weights_offset};
  const uint64_t sizes[] = {4 * padded, 4 * scaled, scaled,
                            weights_bytes(h, stage, channels, units)};
  for (size_t i = 0; i < sizeof(offsets) / sizeof(offsets[0]); ++i) {
    if (offsets[i] < *position || offsets[i] > h->bytes ||
        sizes[i] > h->bytes - offsets[i] || offsets[i] % 4 != 0) {
      return SPARSESEP_BAD_SECTION;
    }
    *position = offsets[i] + (uint32_t)sizes[i];
  }
  return SPARSESEP_OK;
}

static SparsesepStatus check_requantization(const uint8_t* blob,
                                            const SparsesepSeparableConv* h,
                                            const SparsesepConvStage* stage,
                                            uint32_t units) {
  if (h->value_type == SPARSESEP_SEPARABLE_FLOAT32) return SPARSESEP_OK;
  const uint8_t* multiplier = blob + stage->multiplier_offset;
  const uint8_t* shift = blob + stage->shift_offset;
  const int highest = stage->flags & SPARSESEP_STAGE_BOUNDED ? -1 : 30;
  const uint32_t padded = (units + 3) & ~3u;
  for (uint32_t unit = 0; unit < padded; ++unit) {
    const int8_t s = (int8_t)shift[unit];
    const int is_negative = multiplier[4 * unit + 3] >> 7;
    if (is_negative || s < -31 || s > highest) return SPARSESEP_BAD_VALUE;
  }
  return SPARSESEP_OK;
}

SPARSESEP_COLD
SparsesepStatus sparsesep_validate_separable_conv(const void* blob,
                                                  size_t blob_bytes) {
  SparsesepSeparableConv h;
  if (blob == NULL || blob_bytes < sizeof(h)) return SPARSESEP_BAD_HEADER;
  memcpy(&h, blob, sizeof(h));
  if (h.version == SPARSESEP_DEPTHWISE_VERSION) {
    return sparsesep_validate_depthwise_conv(blob, blob_bytes);
  }
  if (h.magic != SPARSESEP_SEPARABLE_MAGIC ||
      h.version != SPARSESEP_SEPARABLE_VERSION) {
    return SPARSESEP_BAD_HEADER;
  }
  SparsesepStatus status = check_fields(&h);
  if (status != SPARSESEP_OK) return status;
  if (h.bytes > blob_bytes) return SPARSESEP_BAD_SECTION;

  uint32_t position = sizeof(h);
  status = check_sections(&h, &h.vertical, h.input_channels, h.middle_channels,
                          &position);
  if (status == SPARSESEP_OK) {
    status = check_sections(&h, &h.horizontal, h.middle_channels,
                            h.output_channels, &position);
  }
  if (status == SPARSESEP_OK) {
    status = check_requantization(blob, &h, &h.vertical, h.middle_channels);
  }
  if (status == SPARSESEP_OK) {
    status = check_requantization(blob, &h, &h.horizontal, h.output_channels);
  }
  return status;
}
