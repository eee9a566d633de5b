// Interleaved 4x4 blocks by up to sixteen vectors.
//
// Half a block, two rows, takes 8 instructions a vector (7 if it is the first
// of its group) and 13 a pass; an output 8, and two rows 50 a pass.
#include <stddef.h>
#include <string.h>

#include "common/clamp_dsp.h"
#include "common/finish_pair_dsp.h"
#include "common/isa.h"
#include "sparse_fully_connected/dsp/run_vector_tiles_dsp.h"
#include "sparsesep/compiler.h"

#if SPARSESEP_HAS_DSP_LAYOUTS

// Widens two vectors, four columns of each a round.
static void widen_pair(const int8_t* x, uint32_t step, uint32_t cols,
                       uint32_t* wide, uint32_t stride) {
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
      "  strd %[a], %[b], [%[wide]]\n"
      "  strd %[c], %[d], [%[wide], #8]\n"
      "  add %[wide], %[wide], %[stride]\n"
      "  cmp %[x], %[end]\n"
      "  bne 1b\n"
      : [x] "+&r"(x), [wide] "+&r"(wide), [a] "=&r"(a), [b] "=&r"(b),
        [c] "=&r"(c), [d] "=&r"(d)
      : [step] "r"(step), [stride] "r"(stride), [end] "r"(end)
      : "cc", "memory");
}

// Sums of two rows of a group of one block or more, two vectors a round. Half a
// block are the words at `value` and 8 bytes behind, of even columns and of odd
// ones; they meet inputs as in the kernel for one vector.
//
// r0 sums, r1 index, r2 value, r3 sums_end, r4 and r5 even columns, r6 and r7
// odd ones, r8 column, r9 x, r10 low, r11 mixed, r12 and lr inputs. On the
// stack: where the index ends, tile.
SPARSESEP_NAKED static void multiply_pair(
    const SparsesepRowPairsDsp* tile __attribute__((unused)),
    const uint8_t* index __attribute__((unused)),
    const uint32_t* value __attribute__((unused)),
    const uint8_t* index_end __attribute__((unused))) {
  __asm__ volatile(
      ".macro weights\n"
      "  ldrb r12, [r1], #1\n"
      "  ldr lr, [r0, #32]\n"
      "  mla r8, r12, lr, r8\n"
      "  ldr r5, [r2]\n"
      "  ldr r7, [r2, #8]\n"
      "  add r2, r2, #16\n"
      "  ldr r0, [r0, #24]\n"
      "  mov r9, r8\n"
      "  sxtb16 r4, r5\n"
      "  sxtb16 r6, r7\n"
      ".endm\n"
      ".macro first\n"
      "  ldrd r12, lr, [r9], #8\n"
      "  smuad r10, r4, r12\n"
      "  smuad r11, r5, r12\n"
      "  smlad r10, r6, lr, r10\n"
      "  smlad r11, r7, lr, r11\n"
      "  strd r10, r11, [r0], #8\n"
      ".endm\n"
      ".macro other\n"
      "  ldrd r12, lr, [r9], #8\n"
      "  ldrd r10, r11, [r0]\n"
      "  smlad r10, r4, r12, r10\n"
      "  smlad r11, r5, r12, r11\n"
      "  smlad r10, r6, lr, r10\n"
      "  smlad r11, r7, lr, r11\n"
      "  strd r10, r11, [r0], #8\n"
      ".endm\n"
      "  push {r0, r3, r4-r11, lr}\n"
      "  ldr r3, [r0, #28]\n"
      "  mov r8, r3\n"
      "  weights\n"
      "1:\n"
      "  first\n"
      "  first\n"
      "  cmp r0, r3\n"
      "  bne 1b\n"
      "  b 4f\n"
      "2:\n"
      "  weights\n"
      "3:\n"
      "  other\n"
      "  other\n"
      "  cmp r0, r3\n"
      "  bne 3b\n"
      "4:\n"
      "  ldrd r0, r12, [sp]\n"
      "  cmp r1, r12\n"
      "  bne 2b\n"
      "  pop {r0, r3, r4-r11, pc}\n"
      ".purgem weights\n .purgem first\n .purgem other\n");
}

static void run_tile(const SparsesepPackedHeader* weights,
                     const SparsesepRows* rows, SparsesepRowPairsDsp* tile) {
  const uint32_t* value = sparsesep_section(weights, weights->value_offset);
  const uint8_t* index = sparsesep_section(weights, weights->index_offset);
  const uint16_t* counts = sparsesep_section(weights, weights->counts_offset);
  for (uint32_t row = 0; row < weights->rows; row += 2) {
    const uint32_t blocks = *counts;
    const uint8_t* const index_end = index + blocks;
    if (blocks > 0) {
      multiply_pair(tile, index, value + (row >> 1 & 1), index_end);
    } else {
      memset(tile->sums, 0,
             (size_t)(tile->sums_end - tile->sums) * sizeof(uint32_t));
    }
    if (row & 2) {
      ++counts;
      index = index_end;
      value += 4 * blocks;
    }
    if (!sparsesep_finish_pair_dsp(tile)) {
      sparsesep_finish_any_pair_dsp(rows, row, tile);
    }
  }
}

void sparsesep_run_whole_vector_tiles_dsp(
    const SparsesepPackedHeader* weights,
    const SparsesepFullyConnectedParams* params, const void* input,
    int32_t batch, void* output, void* scratch, SparsesepMultiplyDsp multiply) {
  const SparsesepRows rows = sparsesep_rows(weights, params);
  const uint32_t step = (uint32_t)params->input_step;
  const int8_t* x = input;
  int8_t* out = output;
  uint32_t vectors =
      rows.bounded ? sparsesep_tile_vectors_dsp(weights, batch) : 0;
  while (vectors > 0) {
    uint32_t* const sums = scratch;
    SparsesepRowPairsDsp tile = {
        .bias = rows.bias,
        .multiplier = rows.multiplier,
        .shift = rows.shift,
        .out = out,
        .zero_point = rows.output_zero_point,
        .stride = weights->rows,
        .sums = sums,
        .sums_end = sums + 2 * vectors,
        .step = 8 * vectors,
    };
    for (uint32_t n = 0; n < vectors; n += 2, x += 2 * step) {
      widen_pair(x, step, weights->cols, tile.sums_end + 2 * n, tile.step);
    }
    run_tile(weights, &rows, &tile);
    int8_t* const end = out + vectors * weights->rows;
    sparsesep_clamp_dsp(&rows, out, end);
    out = end;
    batch -= (int32_t)vectors;
    vectors = sparsesep_tile_vectors_dsp(weights, batch);
  }
  sparsesep_run_dsp(weights, params, x, batch, out, scratch, multiply);
}

#endif
