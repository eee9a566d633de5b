// SEPARABLE_CONV_2D, NHWC: a vertical and a horizontal convolution in one
// kernel. A work-group computes `tile` outputs of a row: first the required
// part of one row of the intermediate feature map, in local memory, then the
// outputs. Tiles along x, rows of all images along y.
//
// Weights of a stage are [units][kernel][channels]. int8 biases include -
// zero point of the stage's input * sum of the weights, and padding adds the
// zero point, as in the blob.

#define SIZES                                                                 \
  int in_height, int in_width, int channels, int out_height, int out_width,   \
      int middle, int units, int kernel_height, int kernel_width,             \
      int stride_height, int stride_width, int pad_top, int pad_left, int tile

#define FIND_TILE                                                             \
  const int item = (int)get_local_id(0);                                      \
  const int items = (int)get_local_size(0);                                   \
  const int first = (int)get_group_id(0) * tile;                              \
  const int out_row = (int)get_global_id(1);                                  \
  const int top = (out_row % out_height) * stride_height - pad_top;           \
  const int left = first * stride_width - pad_left;                           \
  const int columns = (tile - 1) * stride_width + kernel_width;               \
  const long image = (long)(out_row / out_height) * in_height

// numbers: zero points of the input, the intermediate feature map and the
// output, limits of the latter two.
kernel void separable_conv_2d_int8(
    global const char* x, global const char* down, global const int* down_bias,
    global const int* down_multiplier, global const int* down_shift,
    global const char* across, global const int* across_bias,
    global const int* across_multiplier, global const int* across_shift,
    global char* out, SIZES, constant const int* numbers, local char* row) {
  FIND_TILE;
  for (int i = item; i < columns * middle; i += items) {
    const int unit = i % middle;
    const int in_x = left + i / middle;
    if (in_x < 0 || in_x >= in_width) {
      row[i] = (char)numbers[1];
      continue;
    }
    int acc = down_bias[unit];
    for (int tap = 0; tap < kernel_height; ++tap) {
      const int y = top + tap;
      global const char* w =
          down + ((long)unit * kernel_height + tap) * channels;
      if (y < 0 || y >= in_height) {
        for (int c = 0; c < channels; ++c) acc += numbers[0] * (int)w[c];
        continue;
      }
      global const char* pixel =
          x + ((image + y) * in_width + in_x) * channels;
      for (int c = 0; c < channels; ++c) acc += (int)pixel[c] * (int)w[c];
    }
    row[i] = to_int8(requantize(acc, down_multiplier[unit], down_shift[unit]),
                     numbers[1], numbers[3], numbers[4]);
  }
  barrier(CLK_LOCAL_MEM_FENCE);
  for (int i = item; i < tile * units; i += items) {
    const int unit = i % units;
    const int out_x = first + i / units;
    if (out_x >= out_width) continue;
    local const char* taps = row + (i / units) * stride_width * middle;
    global const char* w = across + (long)unit * kernel_width * middle;
    int acc = across_bias[unit];
    for (int c = 0; c < kernel_width * middle; ++c) {
      acc += (int)taps[c] * (int)w[c];
    }
    out[((long)out_row * out_width + out_x) * units + unit] =
        to_int8(requantize(acc, across_multiplier[unit], across_shift[unit]),
                numbers[2], numbers[5], numbers[6]);
  }
}

// limits: of the intermediate feature map and the output.
kernel void separable_conv_2d_float(
    global const REAL* x, global const REAL* down,
    global const float* down_bias, global const REAL* across,
    global const float* across_bias, global REAL* out, SIZES,
    constant const float* limits, local float* row) {
  FIND_TILE;
  for (int i = item; i < columns * middle; i += items) {
    const int unit = i % middle;
    const int in_x = left + i / middle;
    if (in_x < 0 || in_x >= in_width) {
      row[i] = 0.0f;
      continue;
    }
    float acc = down_bias[unit];
    for (int tap = 0; tap < kernel_height; ++tap) {
      const int y = top + tap;
      if (y < 0 || y >= in_height) continue;
      const long w = ((long)unit * kernel_height + tap) * channels;
      const long pixel = ((image + y) * in_width + in_x) * channels;
      for (int c = 0; c < channels; ++c) {
        acc += LOAD(x, pixel + c) * LOAD(down, w + c);
      }
    }
    row[i] = clamp(acc, limits[0], limits[1]);
  }
  barrier(CLK_LOCAL_MEM_FENCE);
  for (int i = item; i < tile * units; i += items) {
    const int unit = i % units;
    const int out_x = first + i / units;
    if (out_x >= out_width) continue;
    local const float* taps = row + (i / units) * stride_width * middle;
    const long w = (long)unit * kernel_width * middle;
    float acc = across_bias[unit];
    for (int c = 0; c < kernel_width * middle; ++c) {
      acc += taps[c] * LOAD(across, w + c);
    }
    STORE(out, ((long)out_row * out_width + out_x) * units + unit,
          clamp(acc, limits[2], limits[3]));
  }
}
