// 1x16 blocks, uint8 steps, int8 values: Armv6-M.
//
// 6 instructions a weight: 1.5 for the weight, 2 for the input, multiply, add,
// and 10 for each block's step and loop.
#include "isa.h"
#include "row_groups.h"
#include "v6m.h"
#include "variants.h"

#if SPARSESEP_HAS_V6M

// clang-format off

#define NEXT_FOUR(A, B, C, D)       \
  "  mov   r5, r12\n"               \
  SPARSESEP_V6M_INPUTS(A, B, C, D)  \
  SPARSESEP_V6M_ROW("r8")

#define BLOCK                               \
  SPARSESEP_V6M_STEP("4")                   \
  SPARSESEP_V6M_INPUTS("0", "1", "2", "3")  \
  SPARSESEP_V6M_ROW("r8")                   \
  NEXT_FOUR("4", "5", "6", "7")             \
  NEXT_FOUR("8", "9", "10", "11")           \
  NEXT_FOUR("12", "13", "14", "15")

// clang-format on

SPARSESEP_V6M_MULTIPLY {
  __asm__ volatile(SPARSESEP_V6M_BLOCKS(BLOCK, SPARSESEP_V6M_STORE_1));
}

void sparsesep_fully_connected_1x16_delta8_int8_v6m(
    const SparsesepPackedHeader* weights,
    const SparsesepFullyConnectedParams* params, const void* input,
    int32_t batch, void* output, void* scratch) {
  sparsesep_run_row_groups(weights, params, input, batch, output, scratch,
                           multiply);
}

#endif
