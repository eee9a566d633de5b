// int8, natural order, portable: two units by two columns at a time, so that
// four loads serve four products.
#include <string.h>

#include "separable_conv/frame.h"
#include "separable_conv/variants.h"

typedef struct Sums {
  uint32_t first[2];  // by column
  uint32_t second[2];
} Sums;

// One tap of two units and two columns. Unsigned, so that an accumulator which
// overflows wraps as in TFLite.
#define TAP(n)                   \
  do {                           \
    const int32_t x0 = from0[n]; \
    const int32_t x1 = from1[n]; \
    const int32_t a = first[n];  \
    sum0 += (uint32_t)(a * x0);  \
    sum1 += (uint32_t)(a * x1);  \
    const int32_t b = second[n]; \
    sum2 += (uint32_t)(b * x0);  \
    sum3 += (uint32_t)(b * x1);  \
  } while (0)

static Sums multiply_pair(const int8_t* first, const int8_t* second,
                          const int8_t* from0, const int8_t* from1,
                          uint32_t taps) {
  uint32_t sum0 = 0, sum1 = 0, sum2 = 0, sum3 = 0;
  const int8_t* const unrolled_end = first + (taps & ~3u);
  while (first != unrolled_end) {
    TAP(0);
    TAP(1);
    TAP(2);
    TAP(3);
    first += 4;
    second += 4;
    from0 += 4;
    from1 += 4;
  }
  for (uint32_t n = 0; n < (taps & 3u); ++n) TAP(n);
  const Sums sums = {{sum0, sum1}, {sum2, sum3}};
  return sums;
}

static void multiply(const SparsesepStage* stage, const int8_t* const x[2],
                     uint32_t* const acc[2]) {
  const uint32_t taps = stage->kernel * stage->channels;
  const int8_t* weights = stage->weights;
  for (uint32_t unit = 0; unit < stage->units; unit += 2) {
    // A last odd unit is multiplied twice.
    const uint32_t other = unit + 1 < stage->units;
    const Sums sums =
        multiply_pair(weights, weights + other * taps, x[0], x[1], taps);
    acc[0][unit] = sums.first[0];
    acc[1][unit] = sums.first[1];
    acc[0][unit + other] = sums.second[0];
    acc[1][unit + other] = sums.second[1];
    weights += 2 * (size_t)taps;
  }
}

void sparsesep_separable_conv_int8_scalar(const SparsesepSeparableConv* conv,
                                          const SparsesepConvShape* shape,
                                          const void* input, void* output,
                                          void* scratch) {
  static const SparsesepColumnOps ops = {multiply, sparsesep_finish_rows,
                                         memcpy};
  sparsesep_run_separable(conv, shape, input, output, scratch, &ops);
}
