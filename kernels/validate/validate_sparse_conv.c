#include <string.h>

#include "sparse_fully_connected/variants.h"
#include "sparsesep/compiler.h"
#include "sparsesep/sparse_conv.h"

_Static_assert(sizeof(SparsesepSparseConv) == 48 &&
                   sizeof(SparsesepResidual) == 3 * sizeof(uint32_t),
               "a blob is a file format");

SPARSESEP_COLD
static SparsesepStatus check_params(const SparsesepFullyConnectedParams* p,
                                    int is_float) {
  if (p->input_step != 0) return SPARSESEP_UNSUPPORTED;
  if (is_float) {
    return p->input_zero_point == 0 && p->output_zero_point == 0
               ? SPARSESEP_OK
               : SPARSESEP_BAD_VALUE;
  }
  return sparsesep_are_int8(p) ? SPARSESEP_OK : SPARSESEP_BAD_VALUE;
}

SPARSESEP_COLD
static SparsesepStatus check_residual(const SparsesepSparseConv* h,
                                      int is_float) {
  const SparsesepResidual* r = &h->addition;
  const uint32_t kind = sparsesep_residual_kind(h);
  uint32_t words[3];
  memcpy(words, r, sizeof(words));
  if ((h->residual | words[0] | words[1] | words[2]) == 0) return SPARSESEP_OK;
  if (!SPARSESEP_LINKS_RESIDUALS || kind == SPARSESEP_RESIDUAL_NONE ||
      kind > SPARSESEP_RESIDUAL_NARROW_OUTPUT || h->residual >> 12 != 0 ||
      is_float) {
    return SPARSESEP_UNSUPPORTED;
  }
  const int is_legal = r->activation_min <= r->activation_max &&
                       r->multiplier >= 0 && r->sum_multiplier >= 0 &&
                       sparsesep_residual_sum_shift(h) > 0;
  return is_legal ? SPARSESEP_OK : SPARSESEP_BAD_VALUE;
}

SPARSESEP_COLD
SparsesepStatus sparsesep_check_sparse_conv(const SparsesepSparseConv* h,
                                            uint32_t cols,
                                            uint32_t value_type) {
  if (h->magic != SPARSESEP_SPARSE_CONV_MAGIC ||
      h->version != SPARSESEP_SPARSE_CONV_VERSION) {
    return SPARSESEP_BAD_HEADER;
  }
  const uint8_t* size = &h->kernel_height;  // the first of six
  for (int n = 0; n < 6; ++n) {
    if (size[n] == 0) return SPARSESEP_BAD_SHAPE;
  }
  // No columns, no channels: weights have some.
  if (cols != (uint32_t)h->kernel_height * h->kernel_width * h->channels) {
    return SPARSESEP_BAD_SHAPE;
  }
  if (h->padding > SPARSESEP_PADDING_VALID) return SPARSESEP_UNSUPPORTED;
  const int is_float = value_type == SPARSESEP_VALUE_FLOAT32;
  const SparsesepStatus status = check_params(&h->params, is_float);
  return status == SPARSESEP_OK ? check_residual(h, is_float) : status;
}

SPARSESEP_COLD
SparsesepStatus sparsesep_validate_sparse_conv(const void* blob,
                                               size_t blob_bytes) {
  SparsesepSparseConv h;
  SparsesepPackedHeader weights;
  if (blob == NULL || blob_bytes < sizeof(h)) return SPARSESEP_BAD_HEADER;
  const uint8_t* packed = (const uint8_t*)blob + sizeof(h);
  const SparsesepStatus status =
      sparsesep_validate_packed_weights(packed, blob_bytes - sizeof(h));
  if (status != SPARSESEP_OK) return status;
  memcpy(&h, blob, sizeof(h));
  memcpy(&weights, packed, sizeof(weights));
  return sparsesep_check_sparse_conv(&h, weights.cols, weights.value_type);
}
