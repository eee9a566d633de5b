// 4x4 blocks, uint8 steps, int8 values: VNNI.
#include "common/isa.h"

#if SPARSESEP_HAS_X86

#include "sparse_fully_connected/variants.h"
#include "sparse_fully_connected/vnni/quads_vnni.h"

SPARSESEP_VNNI_INLINE void multiply_group(int registers,
                                          SparsesepRowStreams* streams,
                                          const SparsesepStrip* strip,
                                          uint32_t* acc) {
  sparsesep_quad_group_vnni(4, 1, registers, streams, strip, acc);
}

SPARSESEP_VNNI_STRIP(multiply_group)

SPARSESEP_KERNEL(4x4_delta8_int8, vnni, sparsesep_run_batch_vnni,
                 multiply_strip, SPARSESEP_KERNEL_NAME(4x4_delta8_int8, avx2))

#endif  // SPARSESEP_HAS_X86
