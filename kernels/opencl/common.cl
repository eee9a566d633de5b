// Shared by all kernels; the host prepends this file.
//
// HALF, a macro of the build: floats are stored in 16 bits. Arithmetic uses
// 32 bits in either case.
#ifndef HALF
#define HALF 0
#endif

#if HALF
#define REAL half
#define LOAD(pointer, i) vload_half((size_t)(i), (pointer))
#define STORE(pointer, i, value) vstore_half((value), (size_t)(i), (pointer))
#else
#define REAL float
#define LOAD(pointer, i) ((pointer)[i])
#define STORE(pointer, i, value) ((pointer)[i] = (value))
#endif

// round(a * b / 2^31), halves up.
static inline int high_product(int a, int b) {
  return (int)(((long)a * (long)b + (1L << 30)) >> 31);
}

// round(value / 2^exponent), halves away from zero; exponent 0..31.
static inline int rounding_shift(int value, int exponent) {
  const int mask = (int)((1u << exponent) - 1u);
  const int threshold = (mask >> 1) + (value < 0 ? 1 : 0);
  return (value >> exponent) + ((value & mask) > threshold ? 1 : 0);
}

// acc * 2^shift * multiplier / 2^31, rounded twice as TFLM does. The left
// shift wraps.
static inline int requantize(int acc, int multiplier, int shift) {
  const int left = shift > 0 ? shift : 0;
  const int right = shift > 0 ? 0 : -shift;
  return rounding_shift(high_product((int)((uint)acc << left), multiplier),
                        right);
}

static inline char to_int8(int value, int zero_point, int low, int high) {
  return (char)clamp((int)((uint)value + (uint)zero_point), low, high);
}
