// Requantises rows in the way that is right for every blob.
#include "rows.h"

int8_t* sparsesep_finish_rows_general(const SparsesepRows* rows, uint32_t first,
                                      uint32_t count, const uint32_t* acc,
                                      int8_t* out) {
  for (uint32_t row = first; row < first + count; ++row) {
    *out++ =
        sparsesep_finish_row(rows, row, (uint32_t)rows->bias[row] + *acc++);
  }
  return out;
}
