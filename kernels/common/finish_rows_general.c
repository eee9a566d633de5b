// Requantizes rows in the way that is right for every blob.
#include "common/rows.h"
#include "sparsesep/compiler.h"

SPARSESEP_COLD SPARSESEP_USED int8_t* sparsesep_finish_rows_general(
    const SparsesepRows* rows, uint32_t first, uint32_t count,
    const uint32_t* acc, int8_t* out) {
  for (uint32_t row = first; row < first + count; ++row) {
    const int32_t value =
        sparsesep_requantize((uint32_t)rows->bias[row] + *acc++,
                             rows->multiplier[row], rows->shift[row]);
    *out++ =
        sparsesep_clamp_to_int8(value, rows->output_zero_point,
                                rows->activation_min, rows->activation_max);
  }
  return out;
}
