// 1x16 blocks, uint8 steps, int8 values: Armv6-M.
//
// 7.4 instructions a weight: 1.5 for the weight, 2 for the input, multiply,
// add, and 30 for each block's step and loops.
#include "common/isa.h"
#include "sparse_fully_connected/row_groups.h"
#include "sparse_fully_connected/v6m/v6m.h"
#include "sparse_fully_connected/variants.h"

#if SPARSESEP_HAS_V6M

// clang-format off

// r5 and r10 where the next four inputs are, r9 where they end.
#define BLOCK                               \
  SPARSESEP_V6M_STEP("4")                   \
  "  movs  r4, #16\n"                       \
  "  adds  r4, r4, r5\n"                    \
  "  mov   r9, r4\n"                        \
  "5:\n"                                    \
  SPARSESEP_V6M_INPUTS("0", "1", "2", "3")  \
  "  adds  r5, #4\n"                        \
  "  mov   r10, r5\n"                       \
  SPARSESEP_V6M_ROW("r8")                   \
  "  mov   r5, r10\n"                       \
  "  cmp   r5, r9\n"                        \
  "  bne   5b\n"

// clang-format on

SPARSESEP_NAKED_MULTIPLY {
  __asm__ volatile(SPARSESEP_V6M_BLOCKS(BLOCK, SPARSESEP_V6M_STORE_1));
}

SPARSESEP_KERNEL(1x16_delta8_int8, v6m, sparsesep_run_row_groups, multiply)

#endif
