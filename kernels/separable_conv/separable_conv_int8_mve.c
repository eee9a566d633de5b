// int8, natural order: Helium.
//
// 16 taps of two units and two columns at a time: four vectors are loaded for
// four sums, 9 instructions for 64 multiply-accumulates, and 12 around the loop
// for each two units. Tail predication reads no further than the taps go, so
// nothing is padded.
#include "common/requantize_mve.h"
#include "separable_conv/frame.h"
#include "separable_conv/variants.h"
#include "sparsesep/compiler.h"

#if SPARSESEP_HAS_MVE

// What multiply_units() reads in assembly.
typedef struct Product {
  const int8_t* first;  // weights of a unit, and of the one after it
  const int8_t* second;
  uint32_t step;  // from where a loop leaves them to the next two units
  uint32_t taps;
  const int32_t* bias;
  uint32_t* acc0;
  uint32_t* acc1;
  const int8_t* x0;
  const int8_t* x1;
  const int32_t* bias_end;
} Product;

// acc = bias + weights * x of two columns, units two by two.
SPARSESEP_NAKED static void multiply_units(const Product* product
                                           __attribute__((unused))) {
  __asm__ volatile(
      "  push {r4-r11, lr}\n"
      "  ldr r1, [r0, #28]\n"
      "  ldr r2, [r0, #32]\n"
      "  ldr r3, [r0, #36]\n"
      "  push {r1, r2, r3}\n"  // x0, x1, bias_end
      "  ldmia r0, {r1, r3, r8, r9, r10, r11, r12}\n"
      "1:\n"
      "  ldrd r5, r7, [sp]\n"
      "  ldrd r0, r4, [r10], #8\n"
      "  mov r2, r0\n"
      "  mov r6, r4\n"
      "  wlstp.8 lr, r9, 3f\n"
      "2:\n"
      "  vldrb.u8 q0, [r1], #16\n"
      "  vldrb.u8 q1, [r5], #16\n"
      "  vmladava.s8 r0, q0, q1\n"
      "  vldrb.u8 q2, [r7], #16\n"
      "  vmladava.s8 r2, q0, q2\n"
      "  vldrb.u8 q3, [r3], #16\n"
      "  vmladava.s8 r4, q3, q1\n"
      "  vmladava.s8 r6, q3, q2\n"
      "  letp lr, 2b\n"
      "3:\n"
      "  strd r0, r4, [r11], #8\n"
      "  strd r2, r6, [r12], #8\n"
      "  add r1, r1, r8\n"
      "  add r3, r3, r8\n"
      "  ldr r0, [sp, #8]\n"
      "  cmp r10, r0\n"
      "  bne 1b\n"
      "  add sp, sp, #12\n"
      "  pop {r4-r11, pc}\n");
}

static void multiply(const SparsesepStage* stage, const int8_t* const x[2],
                     uint32_t* const acc[2]) {
  const uint32_t taps = stage->kernel * stage->channels;
  const uint32_t even = stage->units & ~1u;
  const int8_t* weights = stage->weights;
  Product product = {weights, weights + taps,
                     // A loop's pointers stop at a multiple of 16.
                     2 * taps - ((taps + 15) & ~15u), taps, stage->rows.bias,
                     acc[0], acc[1], x[0], x[1], stage->rows.bias + even};
  if (even > 0) multiply_units(&product);
  if (even == stage->units) return;
  // A last odd unit stands in for the one after it.
  product.first = product.second = weights + (size_t)even * taps;
  product.bias += even;
  product.acc0 += even;
  product.acc1 += even;
  product.bias_end += 2;
  multiply_units(&product);
}

static int8_t* finish(const SparsesepRows* rows, uint32_t first, uint32_t count,
                      const uint32_t* acc, int8_t* out) {
  sparsesep_requantize_rows_mve(rows, first, count, (const int32_t*)acc, out);
  return out + count;
}

static void* copy(void* to, const void* from, size_t bytes) {
  void* const start = to;
  __asm__ volatile(
      "  wlstp.8 lr, %[bytes], 2f\n"
      "1:\n"
      "  vldrb.u8 q0, [%[from]], #16\n"
      "  vstrb.8 q0, [%[to]], #16\n"
      "  letp lr, 1b\n"
      "2:\n"
      : [from] "+&r"(from), [to] "+&r"(to)
      : [bytes] "r"(bytes)
      : "q0", "lr", "cc", "memory");
  return start;
}

void sparsesep_separable_conv_int8_mve(const SparsesepSeparableConv* conv,
                                       const SparsesepConvShape* shape,
                                       const void* input, void* output,
                                       void* scratch) {
  static const SparsesepColumnOps ops = {multiply, finish, copy};
  sparsesep_run_separable(conv, shape, input, output, scratch, &ops);
}

#endif  // SPARSESEP_HAS_MVE
