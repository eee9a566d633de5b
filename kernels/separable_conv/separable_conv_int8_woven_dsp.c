// int8, interleaved order: Armv7E-M and Armv8-M with DSP.
//
// A word of weights holds two channels of two units as `low + 256 * high`. It
// is loaded once for two columns: times the inputs it adds to mixed sums of
// both units, and its low bytes alone, cut out by one SXTB16, add to sums of
// the low unit. The high unit is the difference / 256. Four units by two
// columns take 12 instructions for each two channels, loads included: 0.75 a
// multiply-accumulate, 0.80 with the loop around four of them.
//
// Taps are widened once for all units and lie in the order in which they are
// read: see dsp.h.
#include "separable_conv/dsp.h"
#include "separable_conv/variants.h"
#include "sparsesep/compiler.h"

#if SPARSESEP_HAS_DSP_LAYOUTS

// What multiply() reads in assembly.
typedef struct Product {
  const uint32_t* weights;
  const uint32_t* x;
  const uint32_t* x_end;
  uint32_t* acc0;
  uint32_t* acc1;
  const uint32_t* weights_end;
} Product;

// acc = weights * x of two columns, without bias. Enters the first round of
// the loop so far down that whole rounds of four pairs follow.
SPARSESEP_NAKED static void multiply(const Product* product
                                     __attribute__((unused))) {
  __asm__ volatile(
      "weights .req r0\n x .req r1\n w0 .req r2\n w1 .req r3\n"
      "low0 .req r4\n mixed0 .req r5\n low1 .req r6\n mixed1 .req r7\n"
      "low2 .req r8\n mixed2 .req r9\n low3 .req r10\n mixed3 .req r11\n"
      "x0 .req r12\n x1 .req lr\n"
      ".macro two_units w, low0, mixed0, low2, mixed2\n"
      "  smlad \\mixed0, \\w, x0, \\mixed0\n"
      "  smlad \\mixed2, \\w, x1, \\mixed2\n"
      "  sxtb16 \\w, \\w\n"
      "  smlad \\low0, \\w, x0, \\low0\n"
      "  smlad \\low2, \\w, x1, \\low2\n"
      ".endm\n"
      ".macro pair_of_channels\n"  // 48 bytes
      "  ldrd x0, x1, [x], #8\n"
      "  ldrd w0, w1, [weights], #8\n"
      "  two_units w0, low0, mixed0, low2, mixed2\n"
      "  two_units w1, low1, mixed1, low3, mixed3\n"
      ".endm\n"
      "  push {r4-r11, lr}\n"
      "  ldmia r0, {r0-r5}\n"
      "  sub r6, r1, r2\n"
      "  ubfx r6, r6, #3, #2\n"  // pairs to leave out of the first round
      "  adr r7, 2f\n"
      "  movs r8, #48\n"
      "  mla r6, r6, r8, r7\n"
      "  adds r6, r6, #1\n"  // Thumb
      "  push {r1-r6}\n"     // x, x_end, acc0, acc1, weights_end, entry
      "1:\n"
      "  ldr x, [sp]\n"
      "  movs low0, #0\n"
      "  movs mixed0, #0\n"
      "  movs low1, #0\n"
      "  movs mixed1, #0\n"
      "  mov low2, #0\n"
      "  mov mixed2, #0\n"
      "  mov low3, #0\n"
      "  mov mixed3, #0\n"
      "  ldr pc, [sp, #20]\n"
      "  .p2align 2\n"
      "2:\n"
      "  pair_of_channels\n"
      "  pair_of_channels\n"
      "  pair_of_channels\n"
      "  pair_of_channels\n"
      "  ldr w0, [sp, #4]\n"
      "  cmp x, w0\n"
      "  bne 2b\n"
      "  sub mixed0, mixed0, low0\n"
      "  sub mixed1, mixed1, low1\n"
      "  sub mixed2, mixed2, low2\n"
      "  sub mixed3, mixed3, low3\n"
      "  asrs mixed0, mixed0, #8\n"
      "  asrs mixed1, mixed1, #8\n"
      "  asr mixed2, mixed2, #8\n"
      "  asr mixed3, mixed3, #8\n"
      "  ldrd w0, w1, [sp, #8]\n"
      "  stmia w0!, {low0, mixed0, low1, mixed1}\n"
      "  stmia w1!, {low2, mixed2, low3, mixed3}\n"
      "  strd w0, w1, [sp, #8]\n"
      "  ldr w0, [sp, #16]\n"
      "  cmp weights, w0\n"
      "  bne 1b\n"
      "  add sp, sp, #24\n"
      "  pop {r4-r11, pc}\n"
      ".purgem two_units\n .purgem pair_of_channels\n .unreq weights\n"
      ".unreq x\n .unreq w0\n .unreq w1\n .unreq low0\n .unreq mixed0\n"
      ".unreq low1\n .unreq mixed1\n .unreq low2\n .unreq mixed2\n"
      ".unreq low3\n .unreq mixed3\n .unreq x0\n .unreq x1\n");
}

// The same for one pair of units, where the last group has no more.
SPARSESEP_NAKED static void multiply_pair(const Product* product
                                          __attribute__((unused))) {
  __asm__ volatile(
      "  push {r4-r9, lr}\n"
      "  ldmia r0, {r0-r2, r8, r9}\n"  // weights, x, x_end, acc0, acc1
      "  movs r4, #0\n"
      "  movs r5, #0\n"
      "  movs r6, #0\n"
      "  movs r7, #0\n"
      "1:\n"
      "  ldrd r12, lr, [r1], #8\n"
      "  ldr r3, [r0], #8\n"
      "  smlad r5, r3, r12, r5\n"
      "  smlad r7, r3, lr, r7\n"
      "  sxtb16 r3, r3\n"
      "  smlad r4, r3, r12, r4\n"
      "  smlad r6, r3, lr, r6\n"
      "  cmp r1, r2\n"
      "  bne 1b\n"
      "  subs r5, r5, r4\n"
      "  subs r7, r7, r6\n"
      "  asrs r5, r5, #8\n"
      "  asrs r7, r7, #8\n"
      "  strd r4, r5, [r8]\n"
      "  strd r6, r7, [r9]\n"
      "  pop {r4-r9, pc}\n");
}

static void multiply_columns(const uint32_t* weights, uint32_t units,
                             const uint32_t* x, uint32_t words,
                             uint32_t* const acc[2]) {
  const uint32_t rest = units % 4;
  const uint32_t whole =
      rest == 1 || rest == 2 ? units - rest : (units + 3) & ~3u;
  const uint32_t* end = weights + whole / 4 * words;
  Product product = {weights, x, x + words, acc[0], acc[1], end};
  if (whole > 0) multiply(&product);
  if (whole >= units) return;
  product.weights = end;
  product.acc0 += whole;
  product.acc1 += whole;
  multiply_pair(&product);
}

void sparsesep_separable_conv_int8_woven_dsp(const SparsesepSeparableConv* conv,
                                             const SparsesepConvShape* shape,
                                             const void* input, void* output,
                                             void* scratch) {
  sparsesep_run_separable_dsp(conv, shape, input, output, scratch,
                              multiply_columns);
}

#endif
