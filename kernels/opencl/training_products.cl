// EXPERIMENTAL. The three products of training a fully-connected layer with
// block-sparse weights: forward (dense x sparse^T), backward to the input
// (dense x sparse), and the gradient of the kept values (sampled dense x dense).
//
// Weights. Only tiles of BLOCK_ROWS x BLOCK_COLS weights that are kept exist:
//   values      float[blocks][BLOCK_ROWS][BLOCK_COLS], row of tiles after row
//   tile_row    ushort[blocks], tile_col ushort[blocks]: position of a block
//   row_start   uint[tile rows + 1]: the first block of each row of tiles
//   col_start   uint[tile cols + 1], col_block uint[blocks]: the blocks of each
//               column of tiles, by their numbers
//
// Activations are float[features][BATCH]: every weight multiplies a contiguous
// run of samples. Features are padded with zeros to a multiple of 16, which
// tiles of every shape divide; BATCH is a multiple of SAMPLES * LANES. Weights
// of a tile outside the matrix stay 0, since activations and gradients there
// are 0.

#ifndef BLOCK_ROWS
#define BLOCK_ROWS 1
#endif
#ifndef BLOCK_COLS
#define BLOCK_COLS 1
#endif
// Samples of a batch: a constant, so that loops over them unroll.
#ifndef BATCH
#define BATCH 128
#endif
// Samples of a work-item: 4, 8 or 16. As many as a vector register holds.
#ifndef SAMPLES
#define SAMPLES 4
#endif
// Work-items that share the gradient of one block: a power of 2.
#ifndef LANES
#define LANES 1
#endif

#define AREA (BLOCK_ROWS * BLOCK_COLS)
#define VECTORS (BATCH / (SAMPLES * LANES))
#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)
#define FLOATS JOIN(float, SAMPLES)
#define LOAD JOIN(vload, SAMPLES)
#define STORE JOIN(vstore, SAMPLES)

static float total(const FLOATS v) {
#if SAMPLES == 16
  const float8 half_sum = v.lo + v.hi;
  const float4 sum = half_sum.lo + half_sum.hi;
#elif SAMPLES == 8
  const float4 sum = v.lo + v.hi;
#else
  const float4 sum = v;
#endif
  return (sum.x + sum.y) + (sum.z + sum.w);
}

// outputs = clamp(weights inputs + bias, low, high).
// Work-items: BATCH / SAMPLES x tile rows. NaN stays NaN.
kernel void forward(global const uint* restrict row_start,
                    global const ushort* restrict tile_col,
                    global const float* restrict values,
                    global const float* restrict bias,
                    global const float* restrict inputs,
                    global float* restrict outputs, const float low,
                    const float high) {
  const uint sample = get_global_id(0) * SAMPLES;
  const uint tile_row = get_global_id(1);
  FLOATS sum[BLOCK_ROWS];
  for (uint r = 0; r < BLOCK_ROWS; ++r) {
    sum[r] = bias[tile_row * BLOCK_ROWS + r];
  }
  const uint end = row_start[tile_row + 1];
  for (uint block = row_start[tile_row]; block < end; ++block) {
    global const float* x =
        inputs + (size_t)tile_col[block] * BLOCK_COLS * BATCH + sample;
    global const float* w = values + (size_t)block * AREA;
    for (uint c = 0; c < BLOCK_COLS; ++c) {
      const FLOATS column = LOAD(0, x + c * BATCH);
      for (uint r = 0; r < BLOCK_ROWS; ++r) {
        sum[r] = mad((FLOATS)w[r * BLOCK_COLS + c], column, sum[r]);
      }
    }
  }
  global float* y = outputs + (size_t)tile_row * BLOCK_ROWS * BATCH + sample;
  for (uint r = 0; r < BLOCK_ROWS; ++r) {
    sum[r] = sum[r] < (FLOATS)low ? (FLOATS)low : sum[r];
    sum[r] = sum[r] > (FLOATS)high ? (FLOATS)high : sum[r];
    STORE(sum[r], 0, y + r * BATCH);
  }
}

// input_gradient = weights^T output_gradient, and 0 where `inputs`, which the
// layer before has clamped to low..high, stand at a limit.
// Work-items: BATCH / SAMPLES x tile columns.
kernel void backward(global const uint* restrict col_start,
                     global const uint* restrict col_block,
                     global const ushort* restrict tile_row,
                     global const float* restrict values,
                     global const float* restrict output_gradient,
                     global const float* restrict inputs,
                     global float* restrict input_gradient, const float low,
                     const float high) {
  const uint sample = get_global_id(0) * SAMPLES;
  const uint tile_col = get_global_id(1);
  FLOATS sum[BLOCK_COLS];
  for (uint c = 0; c < BLOCK_COLS; ++c) {
    sum[c] = 0.0f;
  }
  const uint end = col_start[tile_col + 1];
  for (uint at = col_start[tile_col]; at < end; ++at) {
    const uint block = col_block[at];
    global const float* dy =
        output_gradient + (size_t)tile_row[block] * BLOCK_ROWS * BATCH + sample;
    global const float* w = values + (size_t)block * AREA;
    for (uint r = 0; r < BLOCK_ROWS; ++r) {
      const FLOATS row = LOAD(0, dy + r * BATCH);
      for (uint c = 0; c < BLOCK_COLS; ++c) {
        sum[c] = mad((FLOATS)w[r * BLOCK_COLS + c], row, sum[c]);
      }
    }
  }
  const size_t first = (size_t)tile_col * BLOCK_COLS * BATCH + sample;
  for (uint c = 0; c < BLOCK_COLS; ++c) {
    const FLOATS x = LOAD(0, inputs + first + c * BATCH);
    const FLOATS inside =
        x > (FLOATS)low && x < (FLOATS)high ? sum[c] : (FLOATS)0.0f;
    STORE(inside, 0, input_gradient + first + c * BATCH);
  }
}

// gradient[block] = output_gradient inputs^T at the block's place, summed over
// the batch. Work-items: LANES x blocks or more, work-groups of LANES x any,
// or LANES x 1 where there are several lanes.
kernel void value_gradient(global const ushort* restrict tile_row,
                           global const ushort* restrict tile_col,
                           global const float* restrict inputs,
                           global const float* restrict output_gradient,
                           global float* restrict gradient, const uint blocks) {
  const uint lane = get_global_id(0);
  const uint block = get_global_id(1);
  if (block >= blocks) {
    return;
  }
  global const float* x = inputs + (size_t)tile_col[block] * BLOCK_COLS * BATCH;
  global const float* dy =
      output_gradient + (size_t)tile_row[block] * BLOCK_ROWS * BATCH;
  float sums[AREA];
  for (uint r = 0; r < BLOCK_ROWS; ++r) {
    // Reads all of the row before any column: twice as fast on one CPU.
    FLOATS row[VECTORS];
    for (uint i = 0; i < VECTORS; ++i) {
      row[i] = LOAD(i * LANES + lane, dy + r * BATCH);
    }
    for (uint c = 0; c < BLOCK_COLS; ++c) {
      FLOATS sum = 0.0f;
      for (uint i = 0; i < VECTORS; ++i) {
        sum = mad(LOAD(i * LANES + lane, x + c * BATCH), row[i], sum);
      }
      sums[r * BLOCK_COLS + c] = total(sum);
    }
  }
  global float* result = gradient + (size_t)block * AREA;
#if LANES == 1
  for (uint i = 0; i < AREA; ++i) {
    result[i] = sums[i];
  }
#else
  local float partial[LANES][AREA];
  for (uint i = 0; i < AREA; ++i) {
    partial[lane][i] = sums[i];
  }
  for (uint distance = LANES / 2; distance > 0; distance /= 2) {
    barrier(CLK_LOCAL_MEM_FENCE);
    if (lane < distance) {
      for (uint i = 0; i < AREA; ++i) {
        partial[lane][i] += partial[lane + distance][i];
      }
    }
  }
  barrier(CLK_LOCAL_MEM_FENCE);
  for (uint i = lane; i < AREA; i += LANES) {
    result[i] = partial[0][i];
  }
#endif
}

// gradient[row] = sum of output_gradient over the batch. Work-items: features.
kernel void bias_gradient(global const float* restrict output_gradient,
                          global float* restrict gradient) {
  const uint row = get_global_id(0);
  global const float* dy = output_gradient + (size_t)row * BATCH;
  FLOATS sum = 0.0f;
  for (uint sample = 0; sample < BATCH; sample += SAMPLES) {
    sum += LOAD(0, dy + sample);
  }
  gradient[row] = total(sum);
}
