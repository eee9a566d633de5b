// out[batch][rows] = x[batch][cols] times weights[rows][cols] + bias. A row
// group is one row.

// Rows of weights are padded with zeros to whole chunks, so elements past a
// vector do not count. bias includes - input zero point * sum of the row.
kernel void fully_connected_int8(global const char* x,
                                 global const char16* weights,
                                 global const int* bias,
                                 global const int* multiplier,
                                 global const int* shift, global char* out,
                                 int batch, int rows, int cols, int zero_point,
                                 int low, int high) {
  SHARED_SUMS(int);
  const int row = ROW_GROUP;
  const int chunks = (cols + 15) / 16;
  const int end = row < rows ? chunks : 0;
  global const char16* w = weights + (long)row * chunks;
  int16 acc[VECTORS];
  for (int v = 0; v < VECTORS; ++v) acc[v] = (int16)(0);
  for (int chunk = LANE; chunk < end; chunk += LANES) {
    const char16 w16 = w[chunk];
#pragma unroll
    for (int v = 0; v < VECTORS; ++v) {
      global const char* vector_x = x + (long)VECTOR(v) * cols + chunk * 16;
      ADD_PRODUCTS(acc[v], w16, INPUTS(16, vector_x));
    }
  }
  int sums[SUMS];
#pragma unroll
  for (int k = 0; k < SUMS; ++k) sums[k] = ADD_16(acc[k]);
  SHARE_SUMS(sums);
  for (int k = LANE; k < SUMS; k += LANES) {
    const int vector = FIRST_VECTOR + k;
    if (row >= rows || vector >= batch) continue;
    out[(long)vector * rows + row] =
        to_int8(requantize(WHOLE_SUM(int, k, sums) + bias[row],
                           multiplier[row], shift[row]),
                zero_point, low, high);
  }
}

// Reads past the end of rows and vectors; those values are not used.
kernel void fully_connected_float(global const REAL* x,
                                  global const REAL* weights,
                                  global const float* bias, global REAL* out,
                                  int batch, int rows, int cols, float low,
                                  float high) {
  SHARED_SUMS(float);
  const int row = ROW_GROUP;
  const int end = row < rows ? cols : 0;
  global const REAL* w = weights + (long)row * cols;
  FLOATS acc[VECTORS];
  for (int v = 0; v < VECTORS; ++v) acc[v] = (FLOATS)(0.0f);
  for (int chunk = 0; chunk < end; chunk += 16) {
    const int at = chunk + LANE * WIDTH;
    const FLOATS weight = LOAD_FLOATS(w + at);
    const INTS inside = (INTS)(at) + OFFSETS < (INTS)(end);
#pragma unroll
    for (int v = 0; v < VECTORS; ++v) {
      const FLOATS meets = LOAD_FLOATS(x + (long)VECTOR(v) * cols + at);
      acc[v] = select(acc[v], MULTIPLY_ADD(weight, meets, acc[v]), inside);
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
