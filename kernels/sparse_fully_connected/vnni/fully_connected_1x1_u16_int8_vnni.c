// 1x1 blocks, uint16 columns, int8 values: VNNI.
#include "common/isa.h"

#if SPARSESEP_HAS_X86

#include "sparse_fully_connected/variants.h"
#include "sparse_fully_connected/vnni/singles_vnni.h"

SPARSESEP_VNNI_INLINE void multiply_group(int registers,
                                          SparsesepRowStreams* streams,
                                          const SparsesepStrip* strip,
                                          uint32_t* acc) {
  sparsesep_single_group_vnni(0, registers, streams, strip, acc);
}

SPARSESEP_VNNI_STRIP(multiply_group)

SPARSESEP_KERNEL(1x1_u16_int8, vnni, sparsesep_run_batch_vnni, multiply_strip,
                 SPARSESEP_KERNEL_NAME(1x1_u16_int8, avx2))

#endif  // SPARSESEP_HAS_X86
