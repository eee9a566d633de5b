// A few windows at a time are brought into one piece, and the kernel of the
// weights multiplies them as a batch.
#include <string.h>

#include "common/isa.h"
#include "sparse_conv/pixels.h"
#include "sparse_conv/strip.h"
#include "sparse_fully_connected/dsp/rows_dsp.h"
#include "sparsesep/compiler.h"
#include "sparsesep/sparse_conv.h"

// Of this build.
SPARSESEP_COLD
static SparsesepImageStrip make_strip(const SparsesepSparseConv* conv,
                                      const SparsesepConvShape* shape) {
#if SPARSESEP_HAS_X86 || SPARSESEP_HAS_NEON
  return sparsesep_make_strip(conv, shape, 32, 32, 1);
#else
  int32_t at_once = 1;
#if SPARSESEP_HAS_DSP_LAYOUTS
  if (SPARSESEP_LINKS_EIGHT_VECTORS) {
    at_once =
        sparsesep_dsp_vectors_at_once(sparsesep_sparse_conv_weights(conv));
  }
#endif
  return sparsesep_make_strip(conv, shape, SPARSESEP_SHARED_PIXELS,
                              SPARSESEP_OWN_PIXELS, at_once);
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
  int32_t first_x;  // of a row's first window, and behind its last one
  int32_t end_x;
} View;

// Pixels along an axis that come before the image and that are inside of it.
typedef struct Span {
  int32_t before;
  int32_t inside;
} Span;

// Of `count` pixels from `at`, `spacing` apart, along an image of `size`.
SPARSESEP_COLD_SHARED
static Span find_span(int32_t at, int32_t size, int32_t count,
                      int32_t spacing) {
  Span span = {0, count};
  for (; span.inside > 0 && at < 0; --span.inside, at += spacing) {
    ++span.before;
  }
  at += (span.inside - 1) * spacing;
  for (; span.inside > 0 && at >= size; --span.inside) at -= spacing;
  return span;
}

// Copies `columns` columns of the image, `spacing` apart, side by side to `to`.
SPARSESEP_COLD
static void gather(const SparsesepSparseConv* conv,
                   const SparsesepImageStrip* strip, const View* view,
                   int32_t columns, int32_t spacing, uint8_t* to) {
  const uint8_t zero_point = (uint8_t)conv->params.input_zero_point;
  const uint32_t tap = strip->tap;
  const uint32_t column = strip->column;
  const int32_t down = conv->dilation_height;
  const uint32_t line = (uint32_t)view->width * tap;
  const Span x = find_span(view->x, view->width, columns, spacing);
  const Span y = find_span(view->y, view->height, conv->kernel_height, down);
  uint8_t* const first = to + (uint32_t)x.before * column;
  uint8_t* const right = first + (uint32_t)x.inside * column;
  uint8_t* const end = to + (uint32_t)columns * column;
  // All of it where pixels above or below are missing.
  const uint8_t* const left = y.inside < conv->kernel_height ? end : first;
  sparsesep_fill_bytes(to, zero_point, (uint32_t)(left - to));
  sparsesep_fill_bytes(right, zero_point, (uint32_t)(end - right));
  const uint8_t* from = view->image +
                        (uint32_t)(view->y + y.before * down) * line +
                        (uint32_t)(view->x + x.before * spacing) * tap;
  to = first + (uint32_t)y.before * tap;
  SparsesepPixels pixels = {
      tap, column, (uint32_t)spacing * tap,
      (((uintptr_t)view->image | (uintptr_t)to | tap) & 3) == 0};
  int32_t calls = y.inside;
  int32_t count = x.inside;
  uint32_t to_step = tap;
  uint32_t from_step = (uint32_t)down * line;
  // Along the axis with more pixels there are fewer calls.
  if (count < calls) {
    pixels.to_step = to_step;
    pixels.from_step = from_step;
    to_step = column;
    from_step = (uint32_t)spacing * tap;
    calls = x.inside;
    count = y.inside;
  }
  for (; calls > 0; --calls, to += to_step, from += from_step) {
    sparsesep_copy_pixels(&pixels, to, from, count);
  }
}

// Moves `view` on by some windows of a row.
SPARSESEP_COLD_SHARED
static void move_on(const SparsesepSparseConv* conv, View* view,
                    int32_t windows) {
  view->x += windows * conv->stride_width;
  if (view->x != view->end_x) return;
  view->x = view->first_x;
  view->y += conv->stride_height;
}

// Brings the next `pixels` windows into scratch, each by itself. Neighbours of
// a row have columns in common, which are side by side already.
SPARSESEP_COLD
static void gather_each(const SparsesepSparseConv* conv,
                        const SparsesepImageStrip* strip, View* view,
                        int32_t pixels, uint8_t* to) {
  // Only there, windows alone overlap.
  const int32_t in_common =
      SPARSESEP_LINKS_EIGHT_VECTORS ? strip->in_common : 0;
  int32_t kept = 0;
  for (; pixels > 0; --pixels) {
    const uint32_t bytes = (uint32_t)kept * strip->column;
    memcpy(to, to - bytes, bytes);
    View rest = *view;
    rest.x += kept;
    gather(conv, strip, &rest, strip->step - kept, conv->dilation_width,
           to + bytes);
    to += (uint32_t)strip->step * strip->column;
    move_on(conv, view, 1);
    kept = view->x == view->first_x ? 0 : in_common;
  }
}

// Brings the next `pixels` windows into scratch and moves `view` on. Returns
// where the first one begins.
static const uint8_t* windows(const SparsesepSparseConv* conv,
                              const SparsesepImageStrip* strip, View* view,
                              int32_t pixels, uint8_t* scratch) {
  const uint8_t* first = scratch;
  if (strip->is_in_place) {
    first =
        view->image +
        ((size_t)view->y * (size_t)view->width + (size_t)view->x) * strip->tap;
  } else if (strip->is_shared) {
    gather(conv, strip, view, (pixels - 1) * strip->step + conv->kernel_width,
           1, scratch);
  } else {
    gather_each(conv, strip, view, pixels, scratch);
    return scratch;
  }
  move_on(conv, view, pixels);
  return first;
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
  View view;
  view.image = input;
  view.height = shape->input_height;
  view.width = shape->input_width;
  view.first_x = -shape->pad_left;
  view.end_x = view.first_x + shape->output_width * conv->stride_width;
  uint8_t* out = output;
  for (int32_t n = shape->batch; n > 0; --n, view.image += image_bytes) {
    view.y = -shape->pad_top;
    view.x = view.first_x;
    for (int32_t row = strip.rows; row > 0; --row) {
      for (int32_t left = strip.width; left > 0; left -= strip.pixels) {
        const int32_t pixels = left < strip.pixels ? left : strip.pixels;
        const uint8_t* first = windows(conv, &strip, &view, pixels, scratch);
        variant->run(weights, &params, first, pixels, out, kernel_scratch);
        out += (uint32_t)pixels * output_bytes;
      }
    }
  }
}
