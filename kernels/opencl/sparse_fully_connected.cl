// out[batch][rows] = x[batch][cols] times sparse weights + bias.
//
// The host repacks a blob of any layout into tiles of R rows x C columns
// (macros), row group after row group:
//   starts[groups + 1]       first tile of each group
//   columns[tiles]           first column of each tile
//   values[tiles][R][C]      weights, zeros outside the matrix
// LANES work-items share a row group; groups along x, vectors along y. With
// one lane, a work-group holds GROUP_SIZE row groups.
#ifndef R
#define R 1
#endif
#ifndef C
#define C 1
#endif

#if LANES == 1
#define ROW_GROUP ((int)get_global_id(0))
#else
#define ROW_GROUP ((int)get_group_id(0))
#endif

// Reads up to C - 1 elements behind the last vector: buffers are padded.
kernel void sparse_fully_connected_int8(
    global const char* x, global const int* starts,
    global const ushort* columns, global const char* values,
    global const int* bias, global const int* multiplier,
    global const int* shift, global char* out, int groups, int rows, int cols,
    int zero_point, int low, int high) {
  const int group = ROW_GROUP;
  const int vector = (int)get_global_id(1);
  if (group >= groups) return;
  x += (long)vector * cols;
  int acc[R];
  for (int r = 0; r < R; ++r) acc[r] = 0;
  const int end = starts[group + 1];
  for (int tile = starts[group] + LANE; tile < end; tile += LANES) {
    global const char* tile_x = x + columns[tile];
    global const char* value = values + (long)tile * (R * C);
#if C == 4
    const int4 x4 = convert_int4(vload4(0, tile_x));
#pragma unroll
    for (int r = 0; r < R; ++r) {
      const int4 product = x4 * convert_int4(vload4(r, value));
      acc[r] += product.x + product.y + product.z + product.w;
    }
#else
#pragma unroll
    for (int r = 0; r < R; ++r) {
#pragma unroll
      for (int c = 0; c < C; ++c) {
        acc[r] += (int)tile_x[c] * (int)value[r * C + c];
      }
    }
#endif
  }
#if LANES > 1
  local int memory[LANES];
#endif
  for (int r = 0; r < R; ++r) {
    const int row = group * R + r;
    int sum = acc[r];
#if LANES > 1
    SUM_LANES(sum, memory);
#endif
    if (LANE == 0 && row < rows) {
      out[(long)vector * rows + row] =
          to_int8(requantize(sum + bias[row], multiplier[row], shift[row]),
                  zero_point, low, high);
    }
  }
}

// 1 x 1 tiles only: nothing is read behind a vector.
kernel void sparse_fully_connected_float(
    global const REAL* x, global const int* starts,
    global const ushort* columns, global const REAL* values,
    global const float* bias, global REAL* out, int groups, int rows, int cols,
    float low, float high) {
  const int row = ROW_GROUP;
  const int vector = (int)get_global_id(1);
  if (row >= groups) return;
  const long start = (long)vector * cols;
  float acc = 0.0f;
  const int end = starts[row + 1];
  for (int tile = starts[row] + LANE; tile < end; tile += LANES) {
    acc += LOAD(x, start + columns[tile]) * LOAD(values, tile);
  }
#if LANES > 1
  local float memory[LANES];
  SUM_LANES(acc, memory);
#endif
  if (LANE == 0) {
    STORE(out, (long)vector * rows + row,
          clamp(acc + bias[row], low, high));
  }
}
