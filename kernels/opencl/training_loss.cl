// EXPERIMENTAL. Softmax cross-entropy of a batch and its gradient, and
// softmax alone.
//
// logits and gradient are float[features][batch]; only the first `classes`
// features count. Samples from `samples` on pad the batch: their gradient is
// 0 and they add nothing to the sums.

// Returns the index of the maximum, the first of equal ones.
static uint largest_of(global const float* restrict logits, const uint classes,
                       const uint batch) {
  uint best = 0;
  for (uint k = 1; k < classes; ++k) {
    if (logits[(size_t)k * batch] > logits[(size_t)best * batch]) {
      best = k;
    }
  }
  return best;
}

static float sum_of_exponentials(global const float* restrict logits,
                                 const float largest, const uint classes,
                                 const uint batch) {
  float sum = 0.0f;
  for (uint k = 0; k < classes; ++k) {
    sum += exp(logits[(size_t)k * batch] - largest);
  }
  return sum;
}

// Work-items: batch. gradient = (softmax - one hot) / samples. Each sample's
// loss, and 1 where its first largest logit is the label's, are added to
// loss[batch] and hits[batch], so that the host needs to read them once in many
// steps.
kernel void softmax_cross_entropy(global const float* restrict logits,
                                  global const int* restrict labels,
                                  global float* restrict gradient,
                                  global float* restrict loss,
                                  global float* restrict hits,
                                  const uint classes, const uint batch,
                                  const uint samples) {
  const uint sample = get_global_id(0);
  if (sample >= samples) {
    for (uint k = 0; k < classes; ++k) {
      gradient[(size_t)k * batch + sample] = 0.0f;
    }
    return;
  }
  logits += sample;
  const uint label = (uint)labels[sample];
  const uint best = largest_of(logits, classes, batch);
  const float largest = logits[(size_t)best * batch];
  const float sum = sum_of_exponentials(logits, largest, classes, batch);
  for (uint k = 0; k < classes; ++k) {
    const float p = exp(logits[(size_t)k * batch] - largest) / sum;
    gradient[(size_t)k * batch + sample] =
        (p - (k == label ? 1.0f : 0.0f)) / samples;
  }
  loss[sample] += log(sum) - (logits[(size_t)label * batch] - largest);
  hits[sample] += best == label ? 1.0f : 0.0f;
}

// Work-items: batch. probabilities float[features][batch] = softmax.
kernel void softmax(global const float* restrict logits,
                    global float* restrict probabilities, const uint classes,
                    const uint batch) {
  const uint sample = get_global_id(0);
  logits += sample;
  const uint best = largest_of(logits, classes, batch);
  const float largest = logits[(size_t)best * batch];
  const float sum = sum_of_exponentials(logits, largest, classes, batch);
  for (uint k = 0; k < classes; ++k) {
    probabilities[(size_t)k * batch + sample] =
        exp(logits[(size_t)k * batch] - largest) / sum;
  }
}
