#include "common/isa.h"
#include "common/rows.h"

#if !SPARSESEP_HAS_V6M && !SPARSESEP_HAS_V7M

int8_t* sparsesep_finish_rows(const SparsesepRows* rows, uint32_t first,
                              uint32_t count, const uint32_t* acc,
                              int8_t* out) {
  return sparsesep_finish_rows_general(rows, first, count, acc, out);
}

#endif
