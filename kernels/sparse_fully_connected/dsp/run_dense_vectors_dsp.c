#include "sparse_fully_connected/dsp/run_dense_vectors_dsp.h"

#include "common/clamp_dsp.h"
#include "common/finish_pair_dsp.h"
#include "common/isa.h"
#include "sparsesep/compiler.h"

#if SPARSESEP_HAS_DSP_LAYOUTS

// Widens whole blocks of two of four vectors, `step` bytes apart.
static void widen_two_of_four(const int8_t* x, uint32_t step, uint32_t cols,
                              uint32_t* wide) {
  const int8_t* const end = x + cols;
  uint32_t a, b, c, d;
  __asm__ volatile(
      "1:\n"
      "  ldr %[d], [%[x], %[step]]\n"
      "  ldr %[b], [%[x]], #4\n"
      "  sxtb16 %[c], %[d]\n"
      "  sxtb16 %[d], %[d], ror #8\n"
      "  sxtb16 %[a], %[b]\n"
      "  sxtb16 %[b], %[b], ror #8\n"
      "  strd %[b], %[d], [%[wide], #16]\n"
      "  strd %[a], %[c], [%[wide]], #32\n"
      "  cmp %[x], %[end]\n"
      "  bne 1b\n"
      : [x] "+&r"(x), [wide] "+&r"(wide), [a] "=&r"(a), [b] "=&r"(b),
        [c] "=&r"(c), [d] "=&r"(d)
      : [step] "r"(step), [end] "r"(end)
      : "cc", "memory");
}

// Widens what is left of four vectors behind their whole blocks, 1 to 3
// columns.
SPARSESEP_COLD
static void widen_rest(const int8_t* x, uint32_t step, uint32_t cols,
                       uint32_t* wide) {
  for (uint32_t n = 0; n < 4; ++n, x += step, ++wide) {
    const uint32_t third = cols > 2 ? (uint32_t)x[2] << 16 : 0;
    wide[0] = third | (uint16_t)x[0];
    wide[4] = cols > 1 ? (uint16_t)x[1] : 0;
  }
}

// Sums of two rows, those at `value` and 8 bytes behind in each block of 16.
//
// Two columns by four vectors: 2 instructions for weights, 2 for inputs, 8
// multiply. With the loop of two blocks 0.8 instructions a weight and vector.
SPARSESEP_NAKED static void multiply_four(
    const uint32_t* value __attribute__((unused)),
    const uint32_t* wide __attribute__((unused)),
    const uint32_t* wide_end __attribute__((unused)),
    uint32_t* sums __attribute__((unused))) {
  __asm__ volatile(
      "value .req r0\n x .req r1\n w .req r2\n low .req r3\n"
      "x0 .req r12\n x1 .req lr\n"
      ".macro two_vectors low0, mixed0, low1, mixed1\n"
      "  ldrd x0, x1, [x], #8\n"
      "  smlad \\low0, low, x0, \\low0\n"
      "  smlad \\mixed0, w, x0, \\mixed0\n"
      "  smlad \\low1, low, x1, \\low1\n"
      "  smlad \\mixed1, w, x1, \\mixed1\n"
      ".endm\n"
      ".macro two_columns\n"
      "  ldr w, [value], #8\n"
      "  sxtb16 low, w\n"
      "  two_vectors r4, r5, r6, r7\n"
      "  two_vectors r8, r9, r10, r11\n"
      ".endm\n"
      "  push {r2, r3, r4-r11, lr}\n"
      "  sub r2, r2, x\n"
      "  movs r4, #0\n"
      "  movs r5, #0\n"
      "  movs r6, #0\n"
      "  movs r7, #0\n"
      "  mov r8, r4\n"
      "  mov r9, r4\n"
      "  mov r10, r4\n"
      "  mov r11, r4\n"
      "  lsls r2, r2, #26\n"  // an odd number of blocks: enter halfway
      "  bmi 2f\n"
      "1:\n"
      "  two_columns\n"
      "  two_columns\n"
      "2:\n"
      "  two_columns\n"
      "  two_columns\n"
      "  ldr w, [sp]\n"
      "  cmp x, w\n"
      "  bne 1b\n"
      "  ldr r12, [sp, #4]\n"
      "  stmia r12, {r4-r11}\n"
      "  add sp, sp, #8\n"
      "  pop {r4-r11, pc}\n"
      ".purgem two_vectors\n .purgem two_columns\n"
      ".unreq value\n .unreq x\n .unreq w\n .unreq low\n"
      ".unreq x0\n .unreq x1\n");
}

SPARSESEP_COLD
void sparsesep_run_dense_vectors_dsp(
    const SparsesepPackedHeader* weights,
    const SparsesepFullyConnectedParams* params, const void* input,
    int32_t batch, void* output, void* scratch, SparsesepMultiplyDsp multiply) {
  const SparsesepRows rows = sparsesep_rows(weights, params);
  const uint32_t cols = weights->cols & ~3u;
  const uint32_t rest = weights->cols & 3;
  const uint32_t padded = sparsesep_padded_cols(weights);
  const uint32_t step = (uint32_t)params->input_step;
  const int8_t* x = input;
  int8_t* out = output;
  uint32_t* const wide = (uint32_t*)scratch + 8;
  uint32_t* const wide_end = wide + 2 * padded;
  uint32_t left =
      rows.bounded ? sparsesep_dense_vectors_dsp(weights, batch) : 0;
  batch -= (int32_t)left;
  for (; left > 0; left -= 4, x += 4 * step) {
    SparsesepRowPairsDsp pairs = {
        .bias = rows.bias,
        .multiplier = rows.multiplier,
        .shift = rows.shift,
        .out = out,
        .zero_point = rows.output_zero_point,
        .stride = weights->rows,
        .sums = scratch,
        .sums_end = wide,
    };
    if (cols > 0) {
      widen_two_of_four(x, step, cols, wide);
      widen_two_of_four(x + 2 * step, step, cols, wide + 2);
    }
    if (rest > 0) widen_rest(x + cols, step, rest, wide + 2 * cols);
    const uint32_t* value = sparsesep_section(weights, weights->value_offset);
    for (uint32_t row = 0; row < weights->rows; row += 2) {
      multiply_four(value, wide, wide_end, scratch);
      value += row & 2 ? padded - 1 : 1;
      if (!sparsesep_finish_pair_dsp(&pairs)) {
        sparsesep_finish_any_pair_dsp(&rows, row, &pairs);
      }
    }
    int8_t* const end = out + 4 * weights->rows;
    sparsesep_clamp_dsp(&rows, out, end);
    out = end;
  }
  sparsesep_run_dsp(weights, params, x, batch, out, scratch, multiply);
}

#endif
