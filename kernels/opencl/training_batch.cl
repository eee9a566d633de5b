// EXPERIMENTAL. Transposes a batch of the host to the layout of
// training_products.cl.

#ifndef BATCH
#define BATCH 128
#endif

// outputs[feature][sample] = inputs[sample][feature], 0 from `samples` and from
// `features` on. Each work-item writes 16 samples of a feature.
// Work-items: features filled up to whole groups x BATCH / 16.
kernel void turn(global const float* restrict inputs,
                 global float* restrict outputs, const uint samples,
                 const uint features) {
  const uint feature = get_global_id(0);
  const uint first = get_global_id(1) * 16;
  global const float* x = inputs + (size_t)first * features + feature;
  global float* y = outputs + (size_t)feature * BATCH + first;
  const uint rest = samples > first ? samples - first : 0;
  const uint filled = feature < features ? min(rest, 16u) : 0;
  for (uint i = 0; i < filled; ++i) y[i] = x[(size_t)i * features];
  for (uint i = filled; i < 16; ++i) y[i] = 0.0f;
}
