// out[batch][rows] = vectors times sparse weights + bias. In x, `width` vectors
// begin `step` elements apart, and the next so many `pitch` elements after them.
//
// The host repacks a blob of any layout into tiles of R rows x C columns
// (macros), row group after row group:
//   starts[groups + 1]       first tile of each group
//   columns[tiles]           first column of each tile
//   values[tiles][R][C]      weights, zeros outside the matrix
// Of int8 layers each group is filled up to whole chunks with tiles of zeros.
#ifndef C
#define C 1
#endif

#define TILES (16 / (R * C))  // of a chunk

// Where vector v of this work-item begins.
#define VECTOR_START(v) \
  ((long)(VECTOR(v) / width) * pitch + (long)(VECTOR(v) % width) * step)

// Loads the inputs of a chunk.
static inline char16 inputs(global const char* x, global const ushort* c) {
#if C == 16
  return INPUTS(16, x + c[0]);
#elif C == 4 && R == 4
  const char4 four = INPUTS(4, x + c[0]);
  return (char16)(four, four, four, four);
#elif C == 4 && R == 2
  const char4 first = INPUTS(4, x + c[0]);
  const char4 second = INPUTS(4, x + c[1]);
  return (char16)(first, first, second, second);
#elif C == 4
  return (char16)(INPUTS(4, x + c[0]), INPUTS(4, x + c[1]),
                  INPUTS(4, x + c[2]), INPUTS(4, x + c[3]));
#elif R == 4
  return (char16)((char4)(x[c[0]]), (char4)(x[c[1]]), (char4)(x[c[2]]),
                  (char4)(x[c[3]]));
#else
  const ushort16 columns = vload16(0, c);
#define PICK(i) x[columns.s##i]
  return (char16)(EACH_16(PICK));
#undef PICK
#endif
}

// Returns the sum of row r of the 16 products.
static inline int sum_of_row(int16 acc, int r) {
#if R == 1
  return ADD_16(acc);
#elif R == 2
  const int8 sums = acc.lo + acc.hi;
  return r == 0 ? ADD_4(sums.lo) : ADD_4(sums.hi);
#elif C == 4
  return r == 0   ? ADD_4(acc.lo.lo)
         : r == 1 ? ADD_4(acc.lo.hi)
         : r == 2 ? ADD_4(acc.hi.lo)
                  : ADD_4(acc.hi.hi);
#else
  const int4 sums = acc.lo.lo + acc.lo.hi + acc.hi.lo + acc.hi.hi;
  return r == 0 ? sums.s0 : r == 1 ? sums.s1 : r == 2 ? sums.s2 : sums.s3;
#endif
}

// Reads up to C - 1 elements past the last vector: buffers are padded.
kernel void sparse_fully_connected_int8(
    global const char* x, global const int* starts,
    global const ushort* columns, global const char16* values,
    global const int* bias, global const int* multiplier,
    global const int* shift, global char* out, int groups, int batch, int rows,
    int step, int width, int pitch, int zero_point, int low, int high) {
  SHARED_SUMS(int);
  const int group = ROW_GROUP;
  int16 acc[VECTORS];
  long from[VECTORS];
  for (int v = 0; v < VECTORS; ++v) {
    acc[v] = (int16)(0);
    from[v] = VECTOR_START(v);
  }
  const int start = group < groups ? starts[group] / TILES : 0;
  const int end = group < groups ? starts[group + 1] / TILES : 0;
  for (int chunk = start + LANE; chunk < end; chunk += LANES) {
    const char16 w = values[chunk];
    global const ushort* c = columns + chunk * TILES;
#pragma unroll
    for (int v = 0; v < VECTORS; ++v) {
      ADD_PRODUCTS(acc[v], w, inputs(x + from[v], c));
    }
  }
  int sums[SUMS];
#pragma unroll
  for (int k = 0; k < SUMS; ++k) sums[k] = sum_of_row(acc[k / R], k % R);
  SHARE_SUMS(sums);
  for (int k = LANE; k < SUMS; k += LANES) {
    const int row = group * R + k % R;
    const int vector = FIRST_VECTOR + k / R;
    if (row >= rows || vector >= batch) continue;
    out[(long)vector * rows + row] =
        to_int8(requantize(WHOLE_SUM(int, k, sums) + bias[row],
                           multiplier[row], shift[row]),
                zero_point, low, high);
  }
}

// 1 x 1 tiles only. Reads columns and values past the end of a row without
// using them.
kernel void sparse_fully_connected_float(
    global const REAL* x, global const int* starts,
    global const ushort* columns, global const REAL* values,
    global const float* bias, global REAL* out, int groups, int batch,
    int rows, int step, int width, int pitch, float low, float high) {
  SHARED_SUMS(float);
  const int row = ROW_GROUP;
  FLOATS acc[VECTORS];
  long from[VECTORS];
  for (int v = 0; v < VECTORS; ++v) {
    acc[v] = (FLOATS)(0.0f);
    from[v] = VECTOR_START(v);
  }
  const int start = row < groups ? starts[row] : 0;
  const int end = row < groups ? starts[row + 1] : 0;
  for (int chunk = start; chunk < end; chunk += 16) {
    const int at = chunk + LANE * WIDTH;
    const FLOATS w = LOAD_FLOATS(values + at);
    const JOIN(ushort, WIDTH) c = JOIN(vload, WIDTH)(0, columns + at);
    const INTS inside = (INTS)(at) + OFFSETS < (INTS)(end);
#pragma unroll
    for (int v = 0; v < VECTORS; ++v) {
      global const REAL* vector_x = x + from[v];
#define PICK(i) LOAD(vector_x, c.s##i)
      const FLOATS meets = (FLOATS)(JOIN(EACH_, WIDTH)(PICK));
#undef PICK
      acc[v] = select(acc[v], MULTIPLY_ADD(w, meets, acc[v]), inside);
    }
  }
  float sums[SUMS];
#pragma unroll
  for (int k = 0; k < SUMS; ++k) sums[k] = ADD_WIDTH(acc[k]);
  SHARE_SUMS(sums);
  for (int k = LANE; k < SUMS; k += LANES) {
    const int vector = FIRST_VECTOR + k;
    if (row >= rows || vector >= batch) continue;
    STORE(out, (long)vector * rows + row,
          clamp(WHOLE_SUM(float, k, sums) + bias[row], low, high));
  }
}
