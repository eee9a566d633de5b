// 1x1 blocks, 4-bit gaps, values out of a palette of 16: Armv7-M.
#include "common/isa.h"
#include "sparse_fully_connected/v7m/gap4_palette4_rows_v7m.h"
#include "sparse_fully_connected/variants.h"

#if SPARSESEP_HAS_V7M

SPARSESEP_KERNEL(1x1_gap4_palette4, v7m, sparsesep_run_row_groups,
                 sparsesep_gap4_palette4_rows_v7m)

#endif
