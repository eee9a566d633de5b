// Mutated blobs of SPARSE_CONV_2D: see fuzz_blobs.h.
//
//   fuzz_sparse_conv BLOB MUTATIONS SEED
#include "fuzz_images.h"
#include "op_names.h"
#include "sparsesep/sparse_conv.h"

static int run(const uint8_t* blob, size_t size, const void* context) {
  (void)context;
  SparsesepSparseConv header;
  SparsesepPackedHeader weights;
  if (sparsesep_host_validate_sparse_conv(blob, size) != SPARSESEP_OK) {
    return 0;
  }
  memcpy(&header, blob, sizeof(header));
  memcpy(&weights, blob + sizeof(header), sizeof(weights));
  SparsesepConvShape shape = {1 + (int32_t)(next_random() % 2),
                              1 + (int32_t)(next_random() % 12),
                              1 + (int32_t)(next_random() % 24),
                              0,
                              0,
                              0,
                              0};
  // The blob itself is fine; whether an image gives outputs is another matter.
  if (sparsesep_sparse_conv_shape(&header, &shape) != SPARSESEP_OK) return 1;
  const int is_float = weights.value_type == SPARSESEP_VALUE_FLOAT32;
  const int32_t input_shape[] = {shape.batch, shape.input_height,
                                 shape.input_width, header.channels};
  const int32_t output_shape[] = {shape.batch, shape.output_height,
                                  shape.output_width, (int32_t)weights.rows};
  const ThirdInput third = random_third();
  const SparsesepStatus status =
      run_on_image(SPARSESEP_OP_SPARSE_CONV_2D, blob, size, is_float,
                   input_shape, output_shape, third, NULL);
  if (!fits_third(blob, third)) {
    if (status != SPARSESEP_BAD_TENSOR) exit(3);
    return 1;
  }
  // Everything fits, so nothing but memory or a kernel can be missing.
  if (status != SPARSESEP_OK && status != SPARSESEP_OUT_OF_MEMORY &&
      status != SPARSESEP_UNSUPPORTED) {
    exit(3);
  }
  return 1;
}

enum {
  HEADER_BYTES = sizeof(SparsesepSparseConv) + sizeof(SparsesepPackedHeader)
};

#include "fuzz_main.h"
