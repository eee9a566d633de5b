// CONV_2D, NHWC, weights [units][kernel height][kernel width][channels]. One
// work-item per output: units along x, columns along y, rows of all images
// along z.

#define WINDOW_ARGUMENTS                                                      \
  int batch, int in_height, int in_width, int channels, int out_height,       \
      int out_width, int units, int kernel_height, int kernel_width,          \
      int stride_height, int stride_width, int dilation_height,               \
      int dilation_width, int pad_top, int pad_left

// Where padding would be, the input equals its zero point: nothing is added.
kernel void conv_2d_int8(global const char* x, global const char* weights,
                         global const int* bias, global const int* multiplier,
                         global const int* shift, global char* out,
                         WINDOW_ARGUMENTS, int in_zero_point,
                         int out_zero_point, int low, int high) {
  const int unit = (int)get_global_id(0);
  const int out_x = (int)get_global_id(1);
  const int out_row = (int)get_global_id(2);
  if (unit >= units) return;
  const int image = out_row / out_height;
  const int first_y = (out_row % out_height) * stride_height - pad_top;
  const int first_x = out_x * stride_width - pad_left;
  int acc = 0;
  for (int ky = 0; ky < kernel_height; ++ky) {
    const int in_y = first_y + ky * dilation_height;
    if (in_y < 0 || in_y >= in_height) continue;
    for (int kx = 0; kx < kernel_width; ++kx) {
      const int in_x = first_x + kx * dilation_width;
      if (in_x < 0 || in_x >= in_width) continue;
      global const char* pixel =
          x + (((long)image * in_height + in_y) * in_width + in_x) * channels;
      global const char* w =
          weights +
          (((long)unit * kernel_height + ky) * kernel_width + kx) * channels;
      for (int c = 0; c < channels; ++c) {
        acc += ((int)pixel[c] - in_zero_point) * (int)w[c];
      }
    }
  }
  out[((long)out_row * out_width + out_x) * units + unit] =
      to_int8(requantize(acc + bias[unit], multiplier[unit], shift[unit]),
              out_zero_point, low, high);
}

kernel void conv_2d_float(global const REAL* x, global const REAL* weights,
                          global const float* bias, global REAL* out,
                          WINDOW_ARGUMENTS, float low, float high) {
  const int unit = (int)get_global_id(0);
  const int out_x = (int)get_global_id(1);
  const int out_row = (int)get_global_id(2);
  if (unit >= units) return;
  const int image = out_row / out_height;
  const int first_y = (out_row % out_height) * stride_height - pad_top;
  const int first_x = out_x * stride_width - pad_left;
  float acc = 0.0f;
  for (int ky = 0; ky < kernel_height; ++ky) {
    const int in_y = first_y + ky * dilation_height;
    if (in_y < 0 || in_y >= in_height) continue;
    for (int kx = 0; kx < kernel_width; ++kx) {
      const int in_x = first_x + kx * dilation_width;
      if (in_x < 0 || in_x >= in_width) continue;
      const long pixel =
          (((long)image * in_height + in_y) * in_width + in_x) * channels;
      const long w =
          (((long)unit * kernel_height + ky) * kernel_width + kx) * channels;
      for (int c = 0; c < channels; ++c) {
        acc += LOAD(x, pixel + c) * LOAD(weights, w + c);
      }
    }
  }
  STORE(out, ((long)out_row * out_width + out_x) * units + unit,
        clamp(acc + bias[unit], low, high));
}
