// SOFTMAX over rows of `depth` elements. One work-item per row.

// 1 / (1 + value), both Q0.31, 0 <= value: Newton and Raphson's division.
static inline int one_over_one_plus(int value) {
  const int half_denominator = (int)(((long)value + 0x7fffffffL + 1L) / 2L);
  int x = 1515870810 + high_product(half_denominator, -1010580540);
  for (int i = 0; i < 3; ++i) {
    const int error = (1 << 29) - high_product(half_denominator, x);
    const long step = (long)high_product(x, error) * 4L;
    x += (int)clamp(step, -0x80000000L, 0x7fffffffL);
  }
  return (int)clamp((long)x * 2L, -0x80000000L, 0x7fffffffL);
}

// exps[d] is exp(-d * beta * scale) in Q0.31.
kernel void softmax_int8(global const char* x, constant const int* exps,
                         global char* out, int rows, int depth) {
  const int row = (int)get_global_id(0);
  if (row >= rows) return;
  x += (long)row * depth;
  out += (long)row * depth;
  int largest = -128;
  for (int i = 0; i < depth; ++i) largest = max(largest, (int)x[i]);
  uint sum = 0;  // Q12.19
  for (int i = 0; i < depth; ++i) {
    sum += (uint)rounding_shift(exps[largest - (int)x[i]], 12);
  }
  const int headroom = (int)clz(sum);
  const int scale = one_over_one_plus((int)((sum << headroom) - 0x80000000u));
  const int exponent = 12 - headroom + 31 - 8;
  for (int i = 0; i < depth; ++i) {
    const int value = rounding_shift(
        high_product(scale, exps[largest - (int)x[i]]), exponent);
    out[i] = to_int8(value, -128, -128, 127);
  }
}

kernel void softmax_float(global const REAL* x, global REAL* out, int rows,
                          int depth, float beta) {
  const int row = (int)get_global_id(0);
  if (row >= rows) return;
  const long start = (long)row * depth;
  float largest = -MAXFLOAT;
  for (int i = 0; i < depth; ++i) {
    largest = fmax(largest, LOAD(x, start + i));
  }
  float sum = 0.0f;
  for (int i = 0; i < depth; ++i) {
    sum += exp((LOAD(x, start + i) - largest) * beta);
  }
  for (int i = 0; i < depth; ++i) {
    STORE(out, start + i, exp((LOAD(x, start + i) - largest) * beta) / sum);
  }
}
