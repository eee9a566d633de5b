// What compressed training is compared with on the same device: the three
// products of a fully-connected layer with all of its weights. Each work-item
// keeps TILE x (VECTORS * SAMPLES) results in registers.
//
// Activations are float[features][BATCH]; features are multiples of 16.

#define TILE 8
#define VECTORS 2
#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)
#define FLOATS JOIN(float, SAMPLES)
#define LOAD JOIN(vload, SAMPLES)
#define STORE JOIN(vstore, SAMPLES)

// sum[i][k] += left[i * stride + n * step] * right[n * width + ...], over n.
#define MULTIPLY(left, stride, step, right, width, length)                \
  for (uint n = 0; n < (length); ++n) {                                   \
    const FLOATS a = LOAD(0, (right) + (size_t)n * (width));              \
    const FLOATS b = LOAD(1, (right) + (size_t)n * (width));              \
    for (uint i = 0; i < TILE; ++i) {                                     \
      const FLOATS w = (left)[(size_t)i * (stride) + (size_t)n * (step)]; \
      sum[i][0] = mad(w, a, sum[i][0]);                                   \
      sum[i][1] = mad(w, b, sum[i][1]);                                   \
    }                                                                     \
  }

// Work-items: BATCH / SAMPLES / VECTORS x rows / TILE.
kernel void dense_forward(global const float* restrict weights,
                          global const float* restrict bias,
                          global const float* restrict inputs,
                          global float* restrict outputs, const uint cols,
                          const float low) {
  const uint sample = get_global_id(0) * SAMPLES * VECTORS;
  const uint row = get_global_id(1) * TILE;
  FLOATS sum[TILE][VECTORS];
  for (uint i = 0; i < TILE; ++i) {
    sum[i][0] = sum[i][1] = bias[row + i];
  }
  MULTIPLY(weights + (size_t)row * cols, cols, 1, inputs + sample, BATCH, cols)
  for (uint i = 0; i < TILE; ++i) {
    global float* y = outputs + (size_t)(row + i) * BATCH + sample;
    STORE(fmax(sum[i][0], (FLOATS)low), 0, y);
    STORE(fmax(sum[i][1], (FLOATS)low), 1, y);
  }
}

// Work-items: BATCH / SAMPLES / VECTORS x cols / TILE. 0 where `inputs` are
// not above 0.
kernel void dense_backward(global const float* restrict weights,
                           global const float* restrict output_gradient,
                           global const float* restrict inputs,
                           global float* restrict input_gradient,
                           const uint rows, const uint cols) {
  const uint sample = get_global_id(0) * SAMPLES * VECTORS;
  const uint col = get_global_id(1) * TILE;
  FLOATS sum[TILE][VECTORS];
  for (uint i = 0; i < TILE; ++i) {
    sum[i][0] = sum[i][1] = 0.0f;
  }
  MULTIPLY(weights + col, 1, cols, output_gradient + sample, BATCH, rows)
  for (uint i = 0; i < TILE; ++i) {
    const size_t at = (size_t)(col + i) * BATCH + sample;
    for (uint k = 0; k < VECTORS; ++k) {
      const FLOATS x = LOAD(k, inputs + at);
      const FLOATS dx = x > (FLOATS)0.0f ? sum[i][k] : (FLOATS)0.0f;
      STORE(dx, k, input_gradient + at);
    }
  }
}

// outputs[BATCH][features] = inputs[features][BATCH]^T.
// Work-items: features x BATCH.
kernel void transpose(global const float* restrict inputs,
                      global float* restrict outputs, const uint features) {
  const uint feature = get_global_id(0);
  const uint sample = get_global_id(1);
  outputs[(size_t)sample * features + feature] =
      inputs[(size_t)feature * BATCH + sample];
}

// `inputs` are [BATCH][cols] here. Columns beyond whole tiles are the last
// work-item's, which computes some of its neighbour's once more.
// Work-items: cols / SAMPLES / VECTORS, rounded up, x rows / TILE.
kernel void dense_gradient(global const float* restrict output_gradient,
                           global const float* restrict inputs,
                           global float* restrict gradient, const uint cols) {
  const uint col =
      min((uint)get_global_id(0) * SAMPLES * VECTORS, cols - SAMPLES * VECTORS);
  const uint row = get_global_id(1) * TILE;
  FLOATS sum[TILE][VECTORS];
  for (uint i = 0; i < TILE; ++i) {
    sum[i][0] = sum[i][1] = 0.0f;
  }
  MULTIPLY(output_gradient + (size_t)row * BATCH, BATCH, 1, inputs + col, cols,
           BATCH)
  for (uint i = 0; i < TILE; ++i) {
    STORE(sum[i][0], 0, gradient + (size_t)(row + i) * cols + col);
    STORE(sum[i][1], 1, gradient + (size_t)(row + i) * cols + col);
  }
}
