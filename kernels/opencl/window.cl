// The loop of convolutions over their windows, prepended to conv_2d.cl and
// depthwise_conv_2d.cl. One work-item per output: units along x, columns
// along y, rows of all images along z.

#define WINDOW_ARGUMENTS                                                      \
  int batch, int in_height, int in_width, int channels, int out_height,       \
      int out_width, int units, int kernel_height, int kernel_width,          \
      int stride_height, int stride_width, int dilation_height,               \
      int dilation_width, int pad_top, int pad_left

// This work-item's output is at `target`; those without one return here.
#define FIND_OUTPUT                                                           \
  const int unit = (int)get_global_id(0);                                     \
  const int out_x = (int)get_global_id(1);                                    \
  const int out_row = (int)get_global_id(2);                                  \
  if (unit >= units || out_x >= out_width) return;                            \
  const long target = ((long)out_row * out_width + out_x) * units + unit

// Calls add(pixel, tap) for each tap of the window inside the image: `pixel`
// is the index of the input's first channel, `tap` the number of the tap.
// Padding adds nothing: int8 inputs equal their zero point there, floats are
// 0.
#define WALK_WINDOW(add)                                                      \
  do {                                                                        \
    const int first_y = (out_row % out_height) * stride_height - pad_top;     \
    const int first_x = out_x * stride_width - pad_left;                      \
    const long image = (long)(out_row / out_height) * in_height;              \
    for (int ky = 0; ky < kernel_height; ++ky) {                              \
      const int in_y = first_y + ky * dilation_height;                        \
      if (in_y < 0 || in_y >= in_height) continue;                            \
      for (int kx = 0; kx < kernel_width; ++kx) {                             \
        const int in_x = first_x + kx * dilation_width;                       \
        if (in_x < 0 || in_x >= in_width) continue;                           \
        const long pixel = ((image + in_y) * in_width + in_x) * channels;     \
        add(pixel, (long)ky * kernel_width + kx);                             \
      }                                                                       \
    }                                                                         \
  } while (0)
