// What all kernels share; the host puts this file before each of the others.
//
// Macros of the build: LANES, work-items that share a row of a layer;
// GROUP_SIZE, work-items of a group elsewhere; HALF, whether floats are stored
// in 16 bits. Arithmetic is in 32 bits either way.
#ifndef LANES
#define LANES 1
#endif
#ifndef GROUP_SIZE
#define GROUP_SIZE 64
#endif
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
inline int high_product(int a, int b) {
  return (int)(((long)a * (long)b + (1L << 30)) >> 31);
}

// round(value / 2^exponent), halves away from zero; exponent 0..31.
inline int rounding_shift(int value, int exponent) {
  const int mask = (int)((1u << exponent) - 1u);
  const int threshold = (mask >> 1) + (value < 0 ? 1 : 0);
  return (value >> exponent) + ((value & mask) > threshold ? 1 : 0);
}

// acc * 2^shift * multiplier / 2^31, rounded twice as TFLM does. The left
// shift wraps.
inline int requantize(int acc, int multiplier, int shift) {
  const int left = shift > 0 ? shift : 0;
  const int right = shift > 0 ? 0 : -shift;
  return rounding_shift(high_product((int)((uint)acc << left), multiplier),
                        right);
}

inline char to_int8(int value, int zero_point, int low, int high) {
  return (char)clamp((int)((uint)value + (uint)zero_point), low, high);
}

// Sum of one value of each of the LANES work-items, in the first of them.
#if LANES == 1
#define SUM_LANES(value, memory)
#define LANE 0
#else
#define LANE ((int)get_local_id(0))
#define SUM_LANES(value, memory)                            \
  do {                                                      \
    (memory)[LANE] = (value);                               \
    for (int half_ = LANES / 2; half_ > 0; half_ /= 2) {    \
      barrier(CLK_LOCAL_MEM_FENCE);                         \
      if (LANE < half_) (memory)[LANE] += (memory)[LANE + half_]; \
    }                                                       \
    barrier(CLK_LOCAL_MEM_FENCE);                           \
    (value) = (memory)[0];                                  \
    barrier(CLK_LOCAL_MEM_FENCE);                           \
  } while (0)
#endif
