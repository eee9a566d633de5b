// out[batch][rows] = x[batch][cols] times weights[rows][cols] + bias.
// LANES work-items share a row; groups are rows along x, vectors along y.
// With one lane, a group holds GROUP_SIZE rows.

#if LANES == 1
#define ROW ((int)get_global_id(0))
#else
#define ROW ((int)get_group_id(0))
#endif

// bias holds - zero point of the input * sum of the row, too.
kernel void fully_connected_int8(global const char* x,
                                 global const char* weights,
                                 global const int* bias,
                                 global const int* multiplier,
                                 global const int* shift, global char* out,
                                 int rows, int cols, int zero_point, int low,
                                 int high) {
  const int row = ROW;
  const int vector = (int)get_global_id(1);
  if (row >= rows) return;
  global const char* w = weights + (long)row * cols;
  x += (long)vector * cols;
  int acc = 0;
  for (int col = LANE; col < cols; col += LANES) {
    acc += (int)w[col] * (int)x[col];
  }
#if LANES > 1
  local int memory[LANES];
  SUM_LANES(acc, memory);
#endif
  if (LANE == 0) {
    out[(long)vector * rows + row] =
        to_int8(requantize(acc + bias[row], multiplier[row], shift[row]),
                zero_point, low, high);
  }
}

kernel void fully_connected_float(global const REAL* x,
                                  global const REAL* weights,
                                  global const float* bias, global REAL* out,
                                  int rows, int cols, float low, float high) {
  const int row = ROW;
  const int vector = (int)get_global_id(1);
  if (row >= rows) return;
  const long first = (long)row * cols;
  const long start = (long)vector * cols;
  float acc = 0.0f;
  for (int col = LANE; col < cols; col += LANES) {
    acc += LOAD(weights, first + col) * LOAD(x, start + col);
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
