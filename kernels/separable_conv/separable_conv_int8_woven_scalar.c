// int8, interleaved order, portable: the twin of the DSP kernel, with which
// hosts check and run its blobs.
#include <string.h>

#include "separable_conv/frame.h"
#include "separable_conv/variants.h"

// Channels of pair `pair` of a tap; the second may lie after the last channel.
static void pair_channels(uint32_t pair, uint32_t channels,
                          uint32_t pair_of[2]) {
  const uint32_t four = pair / 2 * 4;
  const uint32_t is_whole = four + 4 <= channels;
  pair_of[0] = is_whole ? four + pair % 2 : 2 * pair;
  pair_of[1] = pair_of[0] + (is_whole ? 2 : 1);
}

// sums[column][4 units] of one tap; returns the end of its weights.
static const int8_t* add_tap(const int8_t* weights, uint32_t channels,
                             const int8_t* const x[2], uint32_t sums[2][4]) {
  for (uint32_t pair = 0; pair < (channels + 1) / 2; ++pair) {
    uint32_t channel[2];
    pair_channels(pair, channels, channel);
    for (uint32_t unit = 0; unit < 4; unit += 2) {
      for (uint32_t n = 0; n < 2; ++n, weights += 2) {
        if (channel[n] >= channels) continue;
        const int32_t low = weights[0];
        const int32_t high = weights[1] + (low < 0);
        for (uint32_t column = 0; column < 2; ++column) {
          const int32_t value = x[column][channel[n]];
          sums[column][unit] += (uint32_t)(low * value);
          sums[column][unit + 1] += (uint32_t)(high * value);
        }
      }
    }
  }
  return weights;
}

static void multiply(const SparsesepStage* stage, const int8_t* const x[2],
                     uint32_t* const acc[2]) {
  const int8_t* weights = stage->weights;
  for (uint32_t unit = 0; unit < stage->units; unit += 4) {
    uint32_t sums[2][4] = {{0}};
    for (uint32_t tap = 0; tap < stage->kernel; ++tap) {
      const size_t at = (size_t)tap * stage->channels;
      const int8_t* const taps[2] = {x[0] + at, x[1] + at};
      weights = add_tap(weights, stage->channels, taps, sums);
    }
    for (uint32_t n = 0; n < 4; ++n) {
      acc[0][unit + n] = sums[0][n];
      acc[1][unit + n] = sums[1][n];
    }
  }
}

void sparsesep_separable_conv_int8_woven_scalar(
    const SparsesepSeparableConv* conv, const SparsesepConvShape* shape,
    const void* input, void* output, void* scratch) {
  static const SparsesepColumnOps ops = {multiply, sparsesep_finish_rows,
                                         memcpy};
  sparsesep_run_separable(conv, shape, input, output, scratch, &ops);
}
