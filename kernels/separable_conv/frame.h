// The frame of the kernels that multiply bytes as they are: a kernel multiplies
// all units of a stage by two columns, the frame does everything around it.
//
// Scratch: uint32 accumulators of two columns; the taps of two columns of the
// input, one below the other, padding included; one row of the
// intermediate feature map, padding included. A horizontal stage reads its taps
// in that row.
#ifndef SPARSESEP_SEPARABLE_CONV_FRAME_H_
#define SPARSESEP_SEPARABLE_CONV_FRAME_H_

#include "separable_conv/stage.h"

// acc[column][unit] = weights * x[column] for all units of the stage, with bias
// or without: as `finish` expects. x[column][kernel * channels]. May write
// entries of up to four units, whole.
typedef void (*SparsesepMultiplyTwoColumns)(const SparsesepStage* stage,
                                            const int8_t* const x[2],
                                            uint32_t* const acc[2]);

// What differs from kernel to kernel.
typedef struct SparsesepColumnOps {
  SparsesepMultiplyTwoColumns multiply;
  // As sparsesep_finish_rows(), on what multiply() has left.
  int8_t* (*finish)(const SparsesepRows* rows, uint32_t first, uint32_t count,
                    const uint32_t* acc, int8_t* out);
  void* (*copy)(void* to, const void* from, size_t bytes);  // as memcpy()
} SparsesepColumnOps;

void sparsesep_run_separable(const SparsesepSeparableConv* conv,
                             const SparsesepConvShape* shape,
                             const int8_t* input, int8_t* output, void* scratch,
                             const SparsesepColumnOps* ops);

// Scratch query of sparsesep_run_separable().
uint64_t sparsesep_separable_scratch_bytes(const SparsesepSeparableConv* conv,
                                           const SparsesepConvShape* shape);

#endif  // SPARSESEP_SEPARABLE_CONV_FRAME_H_
