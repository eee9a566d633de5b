// The frame of the kernel for the DSP extension: the kernel multiplies all
// units of a stage by two columns, the frame does everything around it.
//
// Scratch, in this order: uint32 accumulators of two columns; the taps of two
// columns of the input, widened; one row of the intermediate feature map,
// widened, padding included; int8 outputs of a vertical stage at one place.
//
// Widened: int16, two columns side by side. A word holds a pair of channels
// (which ones, says SPARSESEP_SEPARABLE_WOVEN) of one column, the word after
// it the same pair of the other column. In the row, the other column is the one
// that the next output looks at: columns appear there twice.
#ifndef SPARSESEP_SEPARABLE_CONV_DSP_H_
#define SPARSESEP_SEPARABLE_CONV_DSP_H_

#include "separable_conv/stage.h"

// Words of a tap of two columns.
static inline uint32_t sparsesep_dsp_tap_words(uint32_t channels) {
  return (channels + 1) & ~1u;
}

// Scratch query.
static inline uint64_t sparsesep_separable_dsp_scratch_bytes(
    const SparsesepSeparableConv* conv, const SparsesepConvShape* shape) {
  const uint64_t units = sparsesep_most_units(conv);
  const uint64_t columns = (uint64_t)conv->vertical.kernel *
                           sparsesep_dsp_tap_words(conv->input_channels);
  const uint64_t row = (uint64_t)sparsesep_row_columns(conv, shape) *
                       sparsesep_dsp_tap_words(conv->middle_channels);
  return 4 * (2 * units + columns + row) + units;
}

// acc[column][unit] = weights * x[column], without bias, for all units.
// `weights` are interleaved, `x` has `words` words of two columns, widened. May
// write entries of up to four units, whole.
typedef void (*SparsesepMultiplyDspPair)(const uint32_t* weights,
                                         uint32_t units, const uint32_t* x,
                                         uint32_t words,
                                         uint32_t* const acc[2]);

void sparsesep_run_separable_dsp(const SparsesepSeparableConv* conv,
                                 const SparsesepConvShape* shape,
                                 const void* input, void* output, void* scratch,
                                 SparsesepMultiplyDspPair multiply);

#endif  // SPARSESEP_SEPARABLE_CONV_DSP_H_
