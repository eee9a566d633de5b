// MAX_POOL_2D and AVERAGE_POOL_2D, NHWC. One work-item per output: channels
// along x, columns along y, rows of all images along z. Padding does not
// count.

#define WINDOW_ARGUMENTS                                                      \
  int in_height, int in_width, int channels, int out_height, int out_width,   \
      int kernel_height, int kernel_width, int stride_height,                 \
      int stride_width, int pad_top, int pad_left

// The part of the window inside the image.
#define FIND_WINDOW                                                           \
  const int channel = (int)get_global_id(0);                                  \
  const int out_x = (int)get_global_id(1);                                    \
  const int out_row = (int)get_global_id(2);                                  \
  if (channel >= channels || out_x >= out_width) return;                      \
  const int top = (out_row % out_height) * stride_height - pad_top;           \
  const int left = out_x * stride_width - pad_left;                           \
  const int y0 = max(top, 0);                                                 \
  const int y1 = min(top + kernel_height, in_height);                         \
  const int x0 = max(left, 0);                                                \
  const int x1 = min(left + kernel_width, in_width);                          \
  const long image = (long)(out_row / out_height) * in_height;                \
  const long target = ((long)out_row * out_width + out_x) * channels + channel

#define AT(y, x_) (((image + (y)) * in_width + (x_)) * channels + channel)

kernel void max_pool_2d_int8(global const char* x, global char* out,
                             WINDOW_ARGUMENTS, int low, int high) {
  FIND_WINDOW;
  int largest = -128;
  for (int y = y0; y < y1; ++y) {
    for (int i = x0; i < x1; ++i) largest = max(largest, (int)x[AT(y, i)]);
  }
  out[target] = (char)clamp(largest, low, high);
}

kernel void average_pool_2d_int8(global const char* x, global char* out,
                                 WINDOW_ARGUMENTS, int low, int high) {
  FIND_WINDOW;
  int sum = 0;
  for (int y = y0; y < y1; ++y) {
    for (int i = x0; i < x1; ++i) sum += (int)x[AT(y, i)];
  }
  const int count = max((y1 - y0) * (x1 - x0), 1);
  // Rounds halves away from zero: the division truncates.
  const int mean = (sum > 0 ? sum + count / 2 : sum - count / 2) / count;
  out[target] = (char)clamp(mean, low, high);
}

kernel void max_pool_2d_float(global const REAL* x, global REAL* out,
                              WINDOW_ARGUMENTS, float low, float high) {
  FIND_WINDOW;
  float largest = -MAXFLOAT;
  for (int y = y0; y < y1; ++y) {
    for (int i = x0; i < x1; ++i) largest = fmax(largest, LOAD(x, AT(y, i)));
  }
  STORE(out, target, clamp(largest, low, high));
}

kernel void average_pool_2d_float(global const REAL* x, global REAL* out,
                                  WINDOW_ARGUMENTS, float low, float high) {
  FIND_WINDOW;
  float sum = 0.0f;
  for (int y = y0; y < y1; ++y) {
    for (int i = x0; i < x1; ++i) sum += LOAD(x, AT(y, i));
  }
  const int count = max((y1 - y0) * (x1 - x0), 1);
  STORE(out, target, clamp(sum / (float)count, low, high));
}
