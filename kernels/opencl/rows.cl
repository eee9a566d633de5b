// What the kernels of fully-connected layers share; it comes before each of
// them.
//
// A row group is R rows that are computed together. Its weights are read 16 at
// a time, a chunk. Macros of the build, none of which changes an output:
//   LANES       work-items that share a row group, a power of two, at most
//               GROUP_SIZE; of float layers at most 8
//   GROUP_SIZE  work-items of a work-group, a power of two
//   VECTORS     vectors of the batch that a work-item takes with each weight
// Work-items along x are row groups times lanes; along y, VECTORS vectors each.
#ifndef LANES
#define LANES 1
#endif
#ifndef GROUP_SIZE
#define GROUP_SIZE 64
#endif
#ifndef VECTORS
#define VECTORS 1
#endif
// ALIGNED: every tile of inputs starts at a multiple of its size. One load
// then suffices on devices that otherwise load single bytes.
#ifndef ALIGNED
#define ALIGNED 0
#endif
#ifndef R
#define R 1
#endif

#define LANE ((int)get_local_id(0) % LANES)
#define ROW_GROUP ((int)get_global_id(0) / LANES)
#define FIRST_VECTOR ((int)get_global_id(1) * VECTORS)

// Vector v of this work-item. Past the end of the batch it is the last one,
// whose result is dropped.
#define VECTOR(v) min(FIRST_VECTOR + (v), batch - 1)

// Sums of a work-item, [VECTORS][R].
#define SUMS (VECTORS * R)

// Adds neighbors first, then the sums of neighbors, and so on: floats round
// the same for any number of lanes.
#define ADD_2(v) ((v).s0 + (v).s1)
#define ADD_4(v) ADD_2((v).even + (v).odd)
#define ADD_8(v) ADD_4((v).even + (v).odd)
#define ADD_16(v) ADD_8((v).even + (v).odd)

// Combines the sums of all lanes: sum k of the row group is WHOLE_SUM(k,
// ...) in the lane k modulo LANES. All work-items of the group must call it.
#if LANES == 1
#define SHARED_SUMS(type)
#define SHARE_SUMS(sums)
#define WHOLE_SUM(type, k, sums) sums[k]
#else
#define SHARED_SUMS(type) local type shared[SUMS * GROUP_SIZE]
#define SHARE_SUMS(sums)                                    \
  do {                                                      \
    for (int k_ = 0; k_ < SUMS; ++k_) {                     \
      shared[k_ * GROUP_SIZE + get_local_id(0)] = sums[k_]; \
    }                                                       \
    barrier(CLK_LOCAL_MEM_FENCE);                           \
  } while (0)
#define WHOLE_SUM(type, k, sums) \
  sum_lanes_##type(shared + (k) * GROUP_SIZE + get_local_id(0) / LANES * LANES)

#define DEFINE_SUM_LANES(type)                                   \
  static inline type sum_lanes_##type(local const type* lanes) { \
    type sums[LANES];                                            \
    for (int i = 0; i < LANES; ++i) sums[i] = lanes[i];          \
    for (int step = 1; step < LANES; step *= 2) {                \
      for (int i = 0; i < LANES; i += 2 * step) {                \
        sums[i] += sums[i + step];                               \
      }                                                          \
    }                                                            \
    return sums[0];                                              \
  }
DEFINE_SUM_LANES(int)
DEFINE_SUM_LANES(float)
#endif

// Elements .s0, .s1 ... of a vector, each through the macro `pick`.
#define EACH_2(pick) pick(0), pick(1)
#define EACH_4(pick) EACH_2(pick), pick(2), pick(3)
#define EACH_8(pick) EACH_4(pick), pick(4), pick(5), pick(6), pick(7)
#define EACH_16(pick)                                             \
  EACH_8(pick), pick(8), pick(9), pick(a), pick(b), pick(c), pick(d), \
      pick(e), pick(f)

// ---- int8: each lane takes a chunk. Products of two int8 fit into 16 bits,
// which many GPUs multiply at twice the rate of 32.

// Loads n inputs from `pointer`.
#if ALIGNED
#define INPUTS(n, pointer) (*(global const char##n*)(pointer))
#else
#define INPUTS(n, pointer) vload##n(0, pointer)
#endif

// Adds the products of a chunk's weights and their inputs.
#define ADD_PRODUCTS(acc, weights, x) \
  acc += convert_int16(convert_short16(weights) * convert_short16(x))

// ---- float: the lanes share a chunk, WIDTH elements each. Element i of a row
// always goes to the partial sum i modulo 16.
#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)
#if LANES == 1
#define WIDTH 16
#define OFFSETS (int16)(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)
#elif LANES == 2
#define WIDTH 8
#define OFFSETS (int8)(0, 1, 2, 3, 4, 5, 6, 7)
#elif LANES == 4
#define WIDTH 4
#define OFFSETS (int4)(0, 1, 2, 3)
#else
#define WIDTH 2
#define OFFSETS (int2)(0, 1)
#endif
#define FLOATS JOIN(float, WIDTH)
#define INTS JOIN(int, WIDTH)
#define ADD_WIDTH JOIN(ADD_, WIDTH)
#if HALF
#define LOAD_FLOATS(pointer) JOIN(vload_half, WIDTH)(0, pointer)
#else
#define LOAD_FLOATS(pointer) JOIN(vload, WIDTH)(0, pointer)
#endif

// A fixed choice of one or two roundings keeps results equal for all numbers
// of lanes.
#pragma OPENCL FP_CONTRACT OFF
#ifdef FP_FAST_FMAF
#define MULTIPLY_ADD(a, b, c) fma(a, b, c)
#else
#define MULTIPLY_ADD(a, b, c) ((a) * (b) + (c))
#endif
