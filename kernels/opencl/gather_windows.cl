// Brings the windows of SPARSE_CONV_2D into lines that fully-connected kernels
// walk along: see sparse_conv.h for the order. One work-item per element.
//
// A line holds `columns` columns of the image, of kernel_height taps each, for
// one row of outputs. Where windows overlap, neighbors share columns: then
// `span` is the whole line. Otherwise each window has `span` columns of its own,
// `dilation_width` apart, and begins `stride_width` after the one before.
#ifndef ELEMENT
#define ELEMENT char
#endif

kernel void gather_windows(global const ELEMENT* x, global ELEMENT* lines,
                           int count, int in_height, int in_width, int channels,
                           int out_height, int columns, int span,
                           int kernel_height, int stride_height,
                           int stride_width, int dilation_height,
                           int dilation_width, int pad_top, int pad_left,
                           int zero_point) {
  const int i = (int)get_global_id(0);
  if (i >= count) return;
  const int channel = i % channels;
  const int ky = i / channels % kernel_height;
  const int column = i / channels / kernel_height % columns;
  const int row = i / channels / kernel_height / columns;
  const int in_x = column / span * stride_width +
                   column % span * dilation_width - pad_left;
  const int in_y = row % out_height * stride_height + ky * dilation_height -
                   pad_top;
  ELEMENT value = (ELEMENT)zero_point;
  if (in_x >= 0 && in_x < in_width && in_y >= 0 && in_y < in_height) {
    const long pixel =
        ((long)(row / out_height) * in_height + in_y) * in_width + in_x;
    value = x[pixel * channels + channel];
  }
  lines[i] = value;
}
