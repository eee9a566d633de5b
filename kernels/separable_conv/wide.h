// The frame of the kernels for cores without vectors: a kernel multiplies all
// units of a stage by four columns, the frame does everything around it.
//
// Scratch: uint32 accumulators of four columns, one column after the other; the
// taps of four columns, widened to int32, tap by tap; one row of the
// intermediate feature map, int8, padding included.
#ifndef SPARSESEP_SEPARABLE_CONV_WIDE_H_
#define SPARSESEP_SEPARABLE_CONV_WIDE_H_

#include "separable_conv/stage.h"

// What a kernel reads in assembly.
typedef struct SparsesepWideProduct {
  const int8_t* weights;  // [units][taps]
  const int32_t* x;       // [taps][4]
  uint32_t taps;
  uint32_t* acc;    // [4][stride / 4], of which `units` each are written
  uint32_t stride;  // bytes from column to column
  uint32_t units;   // at least one
} SparsesepWideProduct;

// acc = weights * x, without bias.
typedef void (*SparsesepMultiplyFourColumns)(
    const SparsesepWideProduct* product);

void sparsesep_run_separable_wide(const SparsesepSeparableConv* conv,
                                  const SparsesepConvShape* shape,
                                  const int8_t* input, int8_t* output,
                                  void* scratch,
                                  SparsesepMultiplyFourColumns multiply);

// Scratch query of sparsesep_run_separable_wide().
static inline uint64_t sparsesep_separable_wide_scratch_bytes(
    const SparsesepSeparableConv* conv, const SparsesepConvShape* shape) {
  const uint64_t down = (uint64_t)conv->vertical.kernel * conv->input_channels;
  const uint64_t right =
      (uint64_t)conv->horizontal.kernel * conv->middle_channels;
  const uint64_t row =
      (uint64_t)sparsesep_row_columns(conv, shape) * conv->middle_channels;
  return 16 * (sparsesep_most_units(conv) + (down > right ? down : right)) +
         row;
}

#endif  // SPARSESEP_SEPARABLE_CONV_WIDE_H_
