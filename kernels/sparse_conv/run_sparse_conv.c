// A few windows at a time are brought into one piece, and the kernel of the
// weights multiplies them as a batch.
#include "common/isa.h"
#include "sparse_conv/pixels.h"
#include "sparse_conv/strip.h"
#include "sparsesep/compiler.h"
#include "sparsesep/sparse_conv.h"

// Of this build.
SPARSESEP_COLD
static SparsesepImageStrip make_strip(const SparsesepSparseConv* conv,
                                      const SparsesepConvShape* shape) {
#if SPARSESEP_HAS_X86 || SPARSESEP_HAS_NEON
  return sparsesep_make_strip(conv, shape, 32, 32);
#else
  return sparsesep_make_strip(conv, shape, SPARSESEP_SHARED_PIXELS,
                              SPARSESEP_OWN_PIXELS);
#endif
}

SPARSESEP_COLD
uint64_t sparsesep_sparse_conv_scratch_bytes(
    const SparsesepSparseConv* conv, const SparsesepConvShape* shape,
    const SparsesepFullyConnectedVariant* variant) {
  const SparsesepImageStrip strip = make_strip(conv, shape);
  return sparsesep_strip_scratch_bytes(conv, &strip, variant);
}

// The part of an image that windows look at, seen from their first pixel.
typedef struct View {
  const uint8_t* image;
  int32_t height;
  int32_t width;
  int32_t y;  // of the first pixel; may lie outside
  int32_t x;
} View;

// Copies `columns` columns of the image, `spacing` apart, side by side to `to`.
static void gather(const SparsesepSparseConv* conv,
                   const SparsesepImageStrip* strip, const View* view,
                   int32_t columns, int32_t spacing, uint8_t* to) {
  const uint8_t zero_point = (uint8_t)conv->params.input_zero_point;
  const uint32_t tap = strip->tap;
  const SparsesepPixels pixels = {
      tap, strip->column, (uint32_t)spacing * tap,
      (((uintptr_t)view->image | (uintptr_t)to | tap) & 3) == 0};
  // Columns to the left of the image and inside of it.
  int32_t left = 0;
  int32_t x = view->x;
  for (; x < 0 && left < columns; x += spacing) ++left;
  const int32_t first = x;
  int32_t inside = 0;
  for (; x < view->width && left + inside < columns; x += spacing) ++inside;

  int32_t y = view->y;
  for (int32_t ky = conv->kernel_height; ky > 0; --ky, to += tap) {
    uint8_t* at = to;
    int32_t rest = columns;
    if ((uint32_t)y < (uint32_t)view->height && inside > 0) {
      const size_t pixel = (size_t)y * (size_t)view->width + (size_t)first;
      if (left > 0) {
        sparsesep_fill_pixels(&pixels, at, zero_point, left);
        at += (uint32_t)left * strip->column;
      }
      sparsesep_copy_pixels(&pixels, at, view->image + pixel * tap, inside);
      at += (uint32_t)inside * strip->column;
      rest -= left + inside;
    }
    if (rest > 0) sparsesep_fill_pixels(&pixels, at, zero_point, rest);
    y += conv->dilation_height;
  }
}

// Brings `pixels` windows into scratch. Returns where the first one begins.
static const uint8_t* windows(const SparsesepSparseConv* conv,
                              const SparsesepImageStrip* strip, View* view,
                              int32_t pixels, uint8_t* scratch) {
  const int32_t x = view->x;
  if (strip->is_in_place) {
    return view->image +
           ((size_t)view->y * (size_t)view->width + (size_t)x) * strip->tap;
  }
  if (strip->is_shared) {
    gather(conv, strip, view, (pixels - 1) * strip->step + conv->kernel_width,
           1, scratch);
    return scratch;
  }
  for (int32_t n = 0; n < pixels; ++n) {
    gather(conv, strip, view, conv->kernel_width, conv->dilation_width,
           scratch + (uint32_t)n * (uint32_t)strip->step * strip->column);
    view->x += conv->stride_width;
  }
  view->x = x;
  return scratch;
}

void sparsesep_run_sparse_conv(const SparsesepSparseConv* conv,
                               const SparsesepConvShape* shape,
                               const SparsesepFullyConnectedVariant* variant,
                               const void* input, void* output, void* scratch) {
  const SparsesepPackedHeader* weights = sparsesep_sparse_conv_weights(conv);
  const SparsesepImageStrip strip = make_strip(conv, shape);
  SparsesepFullyConnectedParams params = conv->params;
  params.input_step = strip.step * conv->kernel_height * conv->channels;
  const uint32_t output_bytes = strip.tap / conv->channels * weights->rows;
  const size_t image_bytes =
      (size_t)shape->input_height * (size_t)shape->input_width * strip.tap;
  uint8_t* const kernel_scratch =
      (uint8_t*)scratch + sparsesep_image_strip_bytes(&strip);
  View view = {input, shape->input_height, shape->input_width, 0, 0};
  uint8_t* out = output;
  for (int32_t n = shape->batch; n > 0; --n, view.image += image_bytes) {
    view.y = -shape->pad_top;
    for (int32_t row = shape->output_height; row > 0; --row) {
      view.x = -shape->pad_left;
      for (int32_t left = shape->output_width; left > 0; left -= strip.pixels) {
        const int32_t pixels = left < strip.pixels ? left : strip.pixels;
        const uint8_t* first = windows(conv, &strip, &view, pixels, scratch);
        variant->run(weights, &params, first, pixels, out, kernel_scratch);
        out += (uint32_t)pixels * output_bytes;
        view.x += pixels * conv->stride_width;
      }
      view.y += conv->stride_height;
    }
  }
}
