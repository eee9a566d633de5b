// Adam on kept values, and after it the proximal step of an L1 penalty (group
// lasso where a block has more than one weight): the update of
// tflm_sparsesep/training/train_step.py, on arrays of kept values alone.
//
// With w the weights after Adam's full step, D = sqrt(second / (1 - beta_2^t))
// + epsilon its preconditioner, averaged over the block's weights, and
// threshold = learning rate * strength:
//   n = sqrt(sum w^2 / AREA),  w <- w * max(n - threshold / D, 0) / n
// which for single weights is the soft threshold. threshold 0 leaves Adam.

#ifndef BLOCK_ROWS
#define BLOCK_ROWS 1
#endif
#ifndef BLOCK_COLS
#define BLOCK_COLS 1
#endif

#define AREA (BLOCK_ROWS * BLOCK_COLS)

// One step of Adam as Keras takes it; `step` is the learning rate times
// sqrt(1 - beta_2^t) / (1 - beta_1^t), the rates are 1 - beta_1 and 1 - beta_2
// (which floats of the betas themselves would only give to five digits).
static float adam(const float value, const float gradient,
                  global float* restrict first, global float* restrict second,
                  const float step, const float first_rate,
                  const float second_rate, const float epsilon) {
  const float m = *first + (gradient - *first) * first_rate;
  const float v = *second + (gradient * gradient - *second) * second_rate;
  *first = m;
  *second = v;
  return value - step * m / (sqrt(v) + epsilon);
}

// Work-items: blocks or more. values, gradient, first and second are
// float[blocks][AREA]; rows and cols those of the matrix, since tiles at its
// edges have fewer weights; unbias is 1 / (1 - beta_2^t).
kernel void update_values(global const ushort* restrict tile_row,
                          global const ushort* restrict tile_col,
                          global const float* restrict gradient,
                          global float* restrict values,
                          global float* restrict first,
                          global float* restrict second, const uint blocks,
                          const uint rows, const uint cols, const float step,
                          const float first_rate, const float second_rate,
                          const float epsilon, const float unbias,
                          const float threshold) {
  const uint block = get_global_id(0);
  if (block >= blocks) {
    return;
  }
  const size_t start = (size_t)block * AREA;
#if AREA == 1
  const uint height = 1;
  const uint width = 1;
#else
  const uint height =
      min(rows - tile_row[block] * BLOCK_ROWS, (uint)BLOCK_ROWS);
  const uint width = min(cols - tile_col[block] * BLOCK_COLS, (uint)BLOCK_COLS);
#endif
  float weights[AREA];
  float squares = 0.0f;
  float diagonal = 0.0f;
  for (uint r = 0; r < height; ++r) {
    for (uint c = 0; c < width; ++c) {
      const uint i = r * BLOCK_COLS + c;
      const float w =
          adam(values[start + i], gradient[start + i], first + start + i,
               second + start + i, step, first_rate, second_rate, epsilon);
      weights[i] = w;
      squares += w * w;
      diagonal += sqrt(second[start + i] * unbias) + epsilon;
    }
  }
  float scale = 1.0f;
  if (threshold > 0.0f) {
    const float norm = AREA == 1 ? fabs(weights[0]) : sqrt(squares / AREA);
    const float shrunk = norm - threshold * (height * width) / diagonal;
    // NaN stays NaN: a diverged training must not look sparse.
    scale = shrunk <= 0.0f ? 0.0f : shrunk / norm;
  }
  for (uint r = 0; r < height; ++r) {
    for (uint c = 0; c < width; ++c) {
      const uint i = r * BLOCK_COLS + c;
      // Zeros are always +0.
      values[start + i] = scale == 0.0f ? 0.0f : weights[i] * scale;
    }
  }
}

// Adam on biases, which are never penalized. Work-items: biases.
kernel void update_bias(global const float* restrict gradient,
                        global float* restrict bias,
                        global float* restrict first,
                        global float* restrict second, const float step,
                        const float first_rate, const float second_rate,
                        const float epsilon) {
  const uint row = get_global_id(0);
  bias[row] = adam(bias[row], gradient[row], first + row, second + row, step,
                   first_rate, second_rate, epsilon);
}
