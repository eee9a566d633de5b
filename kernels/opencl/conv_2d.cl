// CONV_2D, NHWC, weights [units][kernel height][kernel width][channels].

// Returns the first weight of a tap.
#define WEIGHTS_OF(tap) \
  (((long)unit * kernel_height * kernel_width + (tap)) * channels)

kernel void conv_2d_int8(global const char* x, global const char* weights,
                         global const int* bias, global const int* multiplier,
                         global const int* shift, global char* out,
                         WINDOW_ARGUMENTS, int in_zero_point,
                         int out_zero_point, int low, int high) {
  FIND_OUTPUT;
  int acc = 0;
#define ADD(pixel, tap)                                          \
  global const char* w = weights + WEIGHTS_OF(tap);              \
  for (int c = 0; c < channels; ++c) {                           \
    acc += ((int)x[(pixel) + c] - in_zero_point) * (int)w[c];    \
  }
  WALK_WINDOW(ADD);
#undef ADD
  out[target] =
      to_int8(requantize(acc + bias[unit], multiplier[unit], shift[unit]),
              out_zero_point, low, high);
}

kernel void conv_2d_float(global const REAL* x, global const REAL* weights,
                          global const float* bias, global REAL* out,
                          WINDOW_ARGUMENTS, float low, float high) {
  FIND_OUTPUT;
  float acc = 0.0f;
#define ADD(pixel, tap)                                    \
  const long w = WEIGHTS_OF(tap);                          \
  for (int c = 0; c < channels; ++c) {                     \
    acc += LOAD(x, (pixel) + c) * LOAD(weights, w + c);    \
  }
  WALK_WINDOW(ADD);
#undef ADD
  STORE(out, target, clamp(acc + bias[unit], low, high));
}
