// What the kernels for VNNI, 512 bits wide, share: batches in strips of
// run_strips_x86.h. The kernels of AVX2 run single vectors.
#ifndef SPARSESEP_SPARSE_FULLY_CONNECTED_VNNI_VNNI_H_
#define SPARSESEP_SPARSE_FULLY_CONNECTED_VNNI_VNNI_H_

#include "sparse_fully_connected/avx2/run_strips_x86.h"
#include "sparse_fully_connected/avx2/x86.h"

// runs_here_x86.c asks for the same.
#define SPARSESEP_VNNI \
  __attribute__((target("avx2,fma,avx512f,avx512bw,avx512vl,avx512vnni")))

// For functions whose numbers of rows, columns and registers are constants at
// every call.
#define SPARSESEP_VNNI_INLINE \
  SPARSESEP_VNNI __attribute__((always_inline)) static inline

// A whole kernel: `rest` runs what strips leave.
static inline void sparsesep_run_batch_vnni(
    const SparsesepPackedHeader* weights,
    const SparsesepFullyConnectedParams* params, const void* input,
    int32_t batch, void* output, void* scratch,
    SparsesepMultiplyStrip multiply_strip, SparsesepFullyConnectedKernel rest) {
  const SparsesepLanes lanes = {4, 4, multiply_strip};
  const int32_t done = sparsesep_run_strips(weights, params, input, batch,
                                            output, scratch, &lanes);
  if (done == batch) return;
  rest(weights, params,
       (const int8_t*)input + (size_t)done * (size_t)params->input_step,
       batch - done, (int8_t*)output + (size_t)done * weights->rows, scratch);
}

// Writes a row's sums of 16 * `registers` vectors. Inputs are 128 too large:
// `excess` is what that adds.
SPARSESEP_VNNI_INLINE void sparsesep_store_sums_vnni(const __m512i* acc,
                                                     int registers,
                                                     uint32_t excess,
                                                     uint32_t* sums) {
  const __m512i all = _mm512_set1_epi32((int32_t)excess);
  for (int i = 0; i < registers; ++i) {
    _mm512_storeu_si512(sums + 16 * i, _mm512_sub_epi32(acc[i], all));
  }
}

// Defines multiply_strip() as `group`, a function of the number of registers,
// called for each group of blocks.
#define SPARSESEP_VNNI_STRIP(group)                                        \
  SPARSESEP_VNNI                                                           \
  static void multiply_strip(SparsesepRowStreams* streams,                 \
                             const SparsesepStrip* strip, uint32_t groups, \
                             uint32_t* acc) {                              \
    const uint32_t rows = streams->weights->block_rows;                    \
    for (; groups > 0; --groups, acc += rows * SPARSESEP_STRIP_VECTORS) {  \
      if (strip->vectors > 16) {                                           \
        group(2, streams, strip, acc);                                     \
      } else {                                                             \
        group(1, streams, strip, acc);                                     \
      }                                                                    \
    }                                                                      \
  }

#endif  // SPARSESEP_SPARSE_FULLY_CONNECTED_VNNI_VNNI_H_
