#include <string.h>

#include "sparsesep/compiler.h"
#include "sparsesep/depthwise_conv.h"

_Static_assert(sizeof(SparsesepDepthwiseConv) == 80, "a blob is a file format");

static int is_int8(int32_t value) { return value == (int8_t)value; }

static SparsesepStatus check_fields(const SparsesepDepthwiseConv* h) {
  if (h->kernel_height == 0 || h->kernel_width == 0 || h->stride_height == 0 ||
      h->stride_width == 0 || h->dilation_height == 0 ||
      h->dilation_width == 0 || h->channels == 0 || h->multiplier == 0 ||
      sparsesep_depthwise_units(h) > SPARSESEP_PACKED_MAX_DIM) {
    return SPARSESEP_BAD_SHAPE;
  }
  const uint32_t reserved = h->reserved | h->reserved_words[0] |
                            h->reserved_words[1] | h->reserved_words[2];
  if ((h->kind != SPARSESEP_KIND_DEPTHWISE &&
       h->kind != SPARSESEP_KIND_BLOCK) ||
      h->padding > SPARSESEP_PADDING_VALID ||
      (h->flags & ~SPARSESEP_DEPTHWISE_BOUNDED) != 0 || reserved != 0) {
    return SPARSESEP_UNSUPPORTED;
  }
  return h->activation_min <= h->activation_max ? SPARSESEP_OK
                                                : SPARSESEP_BAD_VALUE;
}

// Leaves in `position` the end of the last section.
static SparsesepStatus check_sections(const SparsesepDepthwiseConv* h,
                                      uint32_t* position) {
  const uint32_t units = sparsesep_depthwise_units(h);
  const uint32_t offsets[] = {h->bias_offset, h->multiplier_offset,
                              h->shift_offset, h->weights_offset};
  const uint64_t sizes[] = {
      4 * (uint64_t)units, 4 * (uint64_t)units, units,
      (uint64_t)units * h->kernel_height * h->kernel_width};
  *position = sizeof(*h);
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
                                            const SparsesepDepthwiseConv* h) {
  const uint8_t* multiplier = blob + h->multiplier_offset;
  const uint8_t* shift = blob + h->shift_offset;
  const int highest = h->flags & SPARSESEP_DEPTHWISE_BOUNDED ? -1 : 30;
  for (uint32_t unit = 0; unit < sparsesep_depthwise_units(h); ++unit) {
    const int8_t s = (int8_t)shift[unit];
    const int is_negative = multiplier[4 * unit + 3] >> 7;
    if (is_negative || s < -31 || s > highest) return SPARSESEP_BAD_VALUE;
  }
  return SPARSESEP_OK;
}

static SparsesepStatus check_pointwise(const uint8_t* blob,
                                       const SparsesepDepthwiseConv* h,
                                       uint32_t position) {
  const SparsesepFullyConnectedParams* p = &h->pointwise;
  if (p->input_step != 0) return SPARSESEP_UNSUPPORTED;
  if (h->kind == SPARSESEP_KIND_DEPTHWISE) {
    const int32_t used = p->input_zero_point | p->output_zero_point |
                         p->activation_min | p->activation_max;
    return used == 0 && h->pointwise_offset == 0 ? SPARSESEP_OK
                                                 : SPARSESEP_UNSUPPORTED;
  }
  SparsesepPackedHeader weights;
  const uint32_t offset = h->pointwise_offset;
  if (offset < position || offset > h->bytes ||
      offset % SPARSESEP_PACKED_ALIGNMENT != 0) {
    return SPARSESEP_BAD_SECTION;
  }
  const SparsesepStatus status =
      sparsesep_validate_packed_weights(blob + offset, h->bytes - offset);
  if (status != SPARSESEP_OK) return status;
  memcpy(&weights, blob + offset, sizeof(weights));
  if (weights.value_type == SPARSESEP_VALUE_FLOAT32) {
    return SPARSESEP_UNSUPPORTED;
  }
  if (weights.cols != sparsesep_depthwise_units(h)) return SPARSESEP_BAD_SHAPE;
  return p->input_zero_point == h->output_zero_point &&
                 is_int8(p->output_zero_point) && is_int8(p->activation_min) &&
                 is_int8(p->activation_max) &&
                 p->activation_min <= p->activation_max
             ? SPARSESEP_OK
             : SPARSESEP_BAD_VALUE;
}

SPARSESEP_COLD
SparsesepStatus sparsesep_validate_depthwise_conv(const void* blob,
                                                  size_t blob_bytes) {
  SparsesepDepthwiseConv h;
  if (blob == NULL || blob_bytes < sizeof(h)) return SPARSESEP_BAD_HEADER;
  memcpy(&h, blob, sizeof(h));
  if (h.magic != SPARSESEP_SEPARABLE_MAGIC ||
      h.version != SPARSESEP_DEPTHWISE_VERSION) {
    return SPARSESEP_BAD_HEADER;
  }
  SparsesepStatus status = check_fields(&h);
  if (status != SPARSESEP_OK) return status;
  if (h.bytes > blob_bytes) return SPARSESEP_BAD_SECTION;
  uint32_t position = 0;
  status = check_sections(&h, &position);
  if (status == SPARSESEP_OK) status = check_requantization(blob, &h);
  return status == SPARSESEP_OK ? check_pointwise(blob, &h, position) : status;
}
