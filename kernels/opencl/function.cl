// Elementwise functions. One work-item per element.

// Any function of an int8: table[x + 128].
kernel void table_int8(global const char* x, constant const char* table,
                       global char* out, int count) {
  const int i = (int)get_global_id(0);
  if (i < count) out[i] = table[(int)x[i] + 128];
}

kernel void clamp_float(global const REAL* x, global REAL* out, int count,
                        float low, float high) {
  const int i = (int)get_global_id(0);
  if (i < count) STORE(out, i, clamp(LOAD(x, i), low, high));
}

kernel void logistic_float(global const REAL* x, global REAL* out, int count) {
  const int i = (int)get_global_id(0);
  if (i < count) STORE(out, i, 1.0f / (1.0f + exp(-LOAD(x, i))));
}

// Rounds halves away from zero, like TFLite.
kernel void quantize(global const REAL* x, global char* out, int count,
                     int zero_point, float scale) {
  const int i = (int)get_global_id(0);
  if (i >= count) return;
  const float steps = clamp(round(LOAD(x, i) / scale), -1024.0f, 1024.0f);
  out[i] = to_int8((int)steps, zero_point, -128, 127);
}

kernel void dequantize(global const char* x, global REAL* out, int count,
                       int zero_point, float scale) {
  const int i = (int)get_global_id(0);
  if (i < count) STORE(out, i, (float)((int)x[i] - zero_point) * scale);
}

// Convert between float32 and the storage format.
kernel void load_floats(global const float* x, global REAL* out, int count) {
  const int i = (int)get_global_id(0);
  if (i < count) STORE(out, i, x[i]);
}

kernel void store_floats(global const REAL* x, global float* out, int count) {
  const int i = (int)get_global_id(0);
  if (i < count) out[i] = LOAD(x, i);
}
