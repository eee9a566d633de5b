// ADD and MUL with broadcasting. `shape` holds the output's six dimensions
// and the strides of both inputs along them, 0 where an input is broadcast.
// One work-item per output.

static inline int2 sources(int i, constant const int* shape) {
  int a = 0;
  int b = 0;
  for (int d = 5; d >= 0; --d) {
    const int position = i % shape[d];
    i /= shape[d];
    a += position * shape[6 + d];
    b += position * shape[12 + d];
  }
  return (int2)(a, b);
}

// numbers: zero points of a, b and the output, limits; multiplier and shift
// of a, of b and of the output.
kernel void add_int8(global const char* a, global const char* b,
                     constant const int* shape, constant const int* numbers,
                     global char* out, int count) {
  const int i = (int)get_global_id(0);
  if (i >= count) return;
  const int2 at = sources(i, shape);
  // Inputs gain 20 bits before they are brought to one scale.
  const int wide_a = ((int)a[at.x] - numbers[0]) * (1 << 20);
  const int wide_b = ((int)b[at.y] - numbers[1]) * (1 << 20);
  const int sum = requantize(wide_a, numbers[5], numbers[6]) +
                  requantize(wide_b, numbers[7], numbers[8]);
  out[i] = to_int8(requantize(sum, numbers[9], numbers[10]), numbers[2],
                   numbers[3], numbers[4]);
}

// numbers: zero points, limits, multiplier and shift of the product.
kernel void mul_int8(global const char* a, global const char* b,
                     constant const int* shape, constant const int* numbers,
                     global char* out, int count) {
  const int i = (int)get_global_id(0);
  if (i >= count) return;
  const int2 at = sources(i, shape);
  const int product =
      ((int)a[at.x] - numbers[0]) * ((int)b[at.y] - numbers[1]);
  out[i] = to_int8(requantize(product, numbers[5], numbers[6]), numbers[2],
                   numbers[3], numbers[4]);
}

kernel void add_float(global const REAL* a, global const REAL* b,
                      constant const int* shape, global REAL* out, int count,
                      float low, float high) {
  const int i = (int)get_global_id(0);
  if (i >= count) return;
  const int2 at = sources(i, shape);
  STORE(out, i, clamp(LOAD(a, at.x) + LOAD(b, at.y), low, high));
}

kernel void mul_float(global const REAL* a, global const REAL* b,
                      constant const int* shape, global REAL* out, int count,
                      float low, float high) {
  const int i = (int)get_global_id(0);
  if (i >= count) return;
  const int2 at = sources(i, shape);
  STORE(out, i, clamp(LOAD(a, at.x) * LOAD(b, at.y), low, high));
}
