// 4x4 blocks, uint8 steps, int8 values: Armv6-M.
//
// 4.44 instructions a weight: 1.5 for the weight, multiply, add, and 15 for
// each block's step, inputs and loop.
#include "common/isa.h"
#include "sparse_fully_connected/row_groups.h"
#include "sparse_fully_connected/v6m/eight_vectors_v6m.h"
#include "sparse_fully_connected/v6m/v6m.h"
#include "sparse_fully_connected/variants.h"

#if SPARSESEP_HAS_V6M

#define BLOCK                              \
  SPARSESEP_V6M_STEP("2")                  \
  SPARSESEP_V6M_INPUTS("0", "1", "2", "3") \
  SPARSESEP_V6M_ROW("r8")                  \
  SPARSESEP_V6M_ROW("r9")                  \
  SPARSESEP_V6M_ROW("r10")                 \
  SPARSESEP_V6M_ROW("r11")

SPARSESEP_NAKED_MULTIPLY {
  __asm__ volatile(SPARSESEP_V6M_BLOCKS(BLOCK, SPARSESEP_V6M_STORE_4));
}

SPARSESEP_KERNEL(4x4_delta8_int8, v6m, sparsesep_run_eight_vectors_v6m,
                 multiply)

#endif
