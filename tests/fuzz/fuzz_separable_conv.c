// Mutated blobs of SEPARABLE_CONV_2D: see fuzz_blobs.h.
//
//   fuzz_separable_conv BLOB MUTATIONS SEED
#include "fuzz_images.h"
#include "op_names.h"
#include "sparsesep/depthwise_conv.h"
#include "sparsesep/separable_conv.h"

// A random image for an accepted blob. What channels it has, and of what type.
typedef struct Image {
  SparsesepConvShape shape;
  int is_float;
  uint32_t input_channels;
  uint32_t output_channels;
} Image;

// The status of the image's shape for the blob.
static SparsesepStatus fit(const uint8_t* blob, Image* image) {
  if (sparsesep_is_depthwise(blob)) {
    const SparsesepDepthwiseConv* conv = (const void*)blob;
    image->is_float = 0;
    image->input_channels = conv->channels;
    image->output_channels = sparsesep_depthwise_outputs(conv);
    return sparsesep_depthwise_conv_shape(conv, &image->shape);
  }
  const SparsesepSeparableConv* conv = (const void*)blob;
  image->is_float = conv->value_type == SPARSESEP_SEPARABLE_FLOAT32;
  image->input_channels = conv->input_channels;
  image->output_channels = conv->output_channels;
  return sparsesep_separable_conv_shape(conv, &image->shape);
}

static int run(const uint8_t* blob, size_t size, const void* context) {
  (void)context;
  if (sparsesep_host_validate_separable_conv(blob, size) != SPARSESEP_OK) {
    return 0;
  }
  Image image = {
      {1 + (int32_t)(next_random() % 2), 1 + (int32_t)(next_random() % 12),
       1 + (int32_t)(next_random() % 12), 0, 0, 0, 0},
      0,
      0,
      0};
  // The blob itself is fine; whether an image gives outputs is another matter.
  if (fit(blob, &image) != SPARSESEP_OK) return 1;
  const SparsesepConvShape* shape = &image.shape;
  const int32_t input_shape[] = {shape->batch, shape->input_height,
                                 shape->input_width,
                                 (int32_t)image.input_channels};
  const int32_t output_shape[] = {shape->batch, shape->output_height,
                                  shape->output_width,
                                  (int32_t)image.output_channels};
  const SparsesepStatus status =
      run_on_image(SPARSESEP_OP_SEPARABLE_CONV_2D, blob, size, image.is_float,
                   input_shape, output_shape, THIRD_ABSENT, NULL);
  // Everything fits, so nothing but memory can be missing, and a kernel for a
  // layout of pointwise weights.
  if (status != SPARSESEP_OK && status != SPARSESEP_OUT_OF_MEMORY &&
      !(sparsesep_is_depthwise(blob) && status == SPARSESEP_UNSUPPORTED)) {
    exit(3);
  }
  return 1;
}

enum { HEADER_BYTES = sizeof(SparsesepSeparableConv) };

#include "fuzz_main.h"
