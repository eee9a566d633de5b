// DEPTHWISE_CONV_2D, NHWC, weights [kernel height][kernel width][units]; unit u
// reads channel u / (units / channels).

kernel void depthwise_conv_2d_int8(
    global const char* x, global const char* weights, global const int* bias,
    global const int* multiplier, global const int* shift, global char* out,
    WINDOW_ARGUMENTS, int in_zero_point, int out_zero_point, int low,
    int high) {
  FIND_OUTPUT;
  const int channel = unit / (units / channels);
  int acc = 0;
#define ADD(pixel, tap)                                \
  acc += ((int)x[(pixel) + channel] - in_zero_point) * \
         (int)weights[(tap) * units + unit]
  WALK_WINDOW(ADD);
#undef ADD
  out[target] =
      to_int8(requantize(acc + bias[unit], multiplier[unit], shift[unit]),
              out_zero_point, low, high);
}

kernel void depthwise_conv_2d_float(global const REAL* x,
                                    global const REAL* weights,
                                    global const float* bias,
                                    global REAL* out, WINDOW_ARGUMENTS,
                                    float low, float high) {
  FIND_OUTPUT;
  const int channel = unit / (units / channels);
  float acc = 0.0f;
#define ADD(pixel, tap) \
  acc += LOAD(x, (pixel) + channel) * LOAD(weights, (tap) * units + unit)
  WALK_WINDOW(ADD);
#undef ADD
  STORE(out, target, clamp(acc + bias[unit], low, high));
}
