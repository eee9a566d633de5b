// How many windows side by side are computed at once, and where they lie. In a
// header, because the host library answers for other builds, too.
#ifndef SPARSESEP_SPARSE_CONV_STRIP_H_
#define SPARSESEP_SPARSE_CONV_STRIP_H_

#include "sparse_fully_connected/variants.h"
#include "sparsesep/sparse_conv.h"

// Most pixels at once on microcontrollers, where neighbouring windows share the
// columns of a strip and where each has its own. PCs and phones have memory
// enough for kernels that take many.
#define SPARSESEP_SHARED_PIXELS 16
#define SPARSESEP_OWN_PIXELS 8

typedef struct SparsesepImageStrip {
  int32_t rows;       // that one strip after the other goes along
  int32_t width;      // pixels of a row; of an image if windows are alone
  int32_t pixels;     // at once
  int32_t columns;    // of the image for so many
  int32_t step;       // columns from one window to the next
  int32_t in_common;  // columns that a window shares with the one before it
  int is_shared;      // neighbours overlap: the strip holds each column once
  int is_in_place;    // windows lie in one piece: nothing to copy
  uint32_t tap;       // bytes of a pixel of the input
  uint32_t column;    // bytes of a column of the strip
} SparsesepImageStrip;

// A strip of at most `shared` pixels where windows overlap, else of `own`,
// which may be of several rows. Rows narrower than `shared` whose width is no
// multiple of `at_once` are gathered window by window across rows, too: the
// kernel multiplies so many vectors at a time, a power of two.
static inline SparsesepImageStrip sparsesep_make_strip(
    const SparsesepSparseConv* conv, const SparsesepConvShape* shape,
    int32_t shared, int32_t own, int32_t at_once) {
  const int32_t kernel = conv->kernel_width;
  const int32_t stride = conv->stride_width;
  const int32_t width = shape->output_width;
  const int32_t reach = (kernel - 1) * conv->dilation_width + 1;
  const int32_t last = (width - 1) * stride + reach;
  const SparsesepPackedHeader* weights = sparsesep_sparse_conv_weights(conv);
  SparsesepImageStrip strip;
  // Without branches, which would be most of the code.
  const int overlap = (reach == kernel) & (stride < kernel);
  const int is_cut = (width < shared) & ((width & (at_once - 1)) != 0);
  strip.is_in_place = (conv->kernel_height == 1) & (reach == kernel) &
                      (shape->pad_left == 0) & (last <= shape->input_width);
  strip.is_shared = overlap & !is_cut;
  strip.in_common = overlap ? kernel - stride : 0;
  strip.rows = shape->output_height;
  strip.width = width;
  strip.step = stride;
  int32_t most = shared;
  if (strip.is_in_place) {
    most = width;
  } else if (!strip.is_shared) {
    strip.rows = 1;
    strip.width *= shape->output_height;
    strip.step = kernel;
    most = own;
  }
  strip.pixels = strip.width < most ? strip.width : most;
  strip.columns = (strip.pixels - 1) * strip.step + kernel;
  strip.tap = conv->channels *
              (weights->value_type == SPARSESEP_VALUE_FLOAT32 ? 4u : 1u);
  strip.column = strip.tap * conv->kernel_height;
  return strip;
}

static inline uint64_t sparsesep_image_strip_bytes(
    const SparsesepImageStrip* strip) {
  if (strip->is_in_place) return 0;
  return ((uint64_t)strip->columns * strip->column + 15) & ~(uint64_t)15;
}

// As sparsesep_sparse_conv_scratch_bytes().
static inline uint64_t sparsesep_strip_scratch_bytes(
    const SparsesepSparseConv* conv, const SparsesepImageStrip* strip,
    const SparsesepFullyConnectedVariant* variant) {
  const uint64_t bytes =
      sparsesep_image_strip_bytes(strip) +
      variant->scratch_bytes(sparsesep_sparse_conv_weights(conv),
                             strip->pixels);
  return SPARSESEP_LINKS_RESIDUALS && sparsesep_has_residual(conv) &&
                 bytes < SPARSESEP_RESIDUAL_SCRATCH_BYTES
             ? SPARSESEP_RESIDUAL_SCRATCH_BYTES
             : bytes;
}

#endif  // SPARSESEP_SPARSE_CONV_STRIP_H_
