#include "sparse_conv/residual.h"
#include "sparsesep/compiler.h"
#include "sparsesep/requantize.h"

// Twice what each value of the narrow operand adds, both zero points included.
SPARSESEP_COLD
static void make_table(const SparsesepSparseConv* conv, int32_t zero_point,
                       int32_t wide_zero_point, int32_t* table) {
  const int32_t shift = sparsesep_residual_shift(conv);
  for (int32_t value = INT8_MIN; value <= INT8_MAX; ++value) {
    const int32_t part =
        sparsesep_requantize((uint32_t)(value - zero_point) << 20,
                             conv->addition.multiplier, -shift);
    table[(uint8_t)value] = 2 * part - wide_zero_point * (1 << 20);
  }
}

// For every shift and rounding.
SPARSESEP_COLD
static void add_slowly(const SparsesepSparseConv* conv, const int32_t* table,
                       const int8_t* wide, const int8_t* narrow, int8_t* out,
                       size_t count) {
  const SparsesepResidual* r = &conv->addition;
  const int32_t shift = sparsesep_residual_sum_shift(conv);
  for (; count > 0; --count) {
    const int32_t twice = table[(uint8_t)*narrow++] + *wide++ * (1 << 20);
    const int32_t sum =
        sparsesep_requantize((uint32_t)(twice >> 1), r->sum_multiplier, -shift);
    *out++ =
        sparsesep_clamp_to_int8(sum, r->sum_zero_point, INT8_MIN, INT8_MAX);
  }
}

static void clamp(const SparsesepResidual* r, int8_t* out, size_t count) {
  const int32_t low = r->activation_min;
  const int32_t high = r->activation_max;
  if (high - low == UINT8_MAX) return;
  for (; count > 0; --count, ++out) {
    if (*out < low) *out = (int8_t)low;
    if (*out > high) *out = (int8_t)high;
  }
}

SPARSESEP_COLD
void sparsesep_add_residual(const SparsesepSparseConv* conv,
                            const int8_t* residual, int8_t* output,
                            size_t count, void* scratch) {
  const SparsesepResidual* r = &conv->addition;
  const int is_narrow =
      sparsesep_residual_kind(conv) == SPARSESEP_RESIDUAL_NARROW_OTHER;
  const int8_t* wide = is_narrow ? output : residual;
  const int8_t* narrow = is_narrow ? residual : output;
  const int32_t zero_points[] = {conv->params.output_zero_point, r->zero_point};
  const int32_t shift = sparsesep_residual_sum_shift(conv);
  make_table(conv, zero_points[is_narrow], zero_points[!is_narrow], scratch);
  if (TFLITE_SINGLE_ROUNDING || shift > SPARSESEP_FAST_ADDITION_SHIFT) {
    add_slowly(conv, scratch, wide, narrow, output, count);
  } else {
    const int32_t half = 1 << (shift - 1);
    const SparsesepAddition addition = {
        scratch, r->sum_multiplier, shift,
        half + r->sum_zero_point * (1 << shift)};
    sparsesep_add_operands(&addition, wide, narrow, output, count);
  }
  clamp(r, output, count);
}
