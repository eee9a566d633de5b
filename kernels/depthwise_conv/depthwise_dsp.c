// Any taps on the DSP extension: strips and weights are 16-bit values, SMLAD
// multiplies two taps, and two outputs share the weights. Weights and biases
// are doubled, so that SMMULR alone makes the doubling high product.
#include <string.h>

#include "common/isa.h"
#include "depthwise_conv/depthwise.h"

#if SPARSESEP_HAS_DSP_LAYOUTS

void sparsesep_put_halves_dsp(const SparsesepStrips* strips,
                              const SparsesepRow* row) {
  const uint32_t rows = strips->rows;
  const int16_t zero_point = (int16_t)strips->zero_point;
  int16_t* strip =
      (int16_t*)(void*)strips->first + row->column * rows + row->slot;
  for (uint32_t c = 0; c < strips->channels; ++c) {
    int16_t* to = strip;
    for (uint32_t n = row->left; n > 0; --n, to += rows) *to = zero_point;
    const int8_t* pixel = row->pixels + c;
    for (uint32_t n = row->inside; n > 0; --n, to += rows) {
      *to = *pixel;
      pixel += row->step;
    }
    for (uint32_t n = row->right; n > 0; --n, to += rows) *to = zero_point;
    strip += strips->bytes / sizeof(*strip);
  }
}

// Multiplier, shift and bias come before the weights.
void sparsesep_pack_halves_dsp(const SparsesepUnit* unit, void* table) {
  int32_t* numbers = table;
  numbers[0] = unit->multiplier;
  numbers[1] = -unit->shift;
  numbers[2] = (int32_t)(2 * (uint32_t)unit->bias);
  numbers[3] = 0;
  int16_t* to = (int16_t*)(void*)(numbers + 4);
  for (uint32_t x = 0; x < unit->along; ++x) {
    const int8_t* from = unit->taps + x * unit->along_step;
    for (uint32_t y = 0; y < unit->across; ++y, from += unit->across_step) {
      *to++ = (int16_t)(2 * *from);
    }
  }
  memset(to, 0, 2 * (-(unit->along * unit->across) & 3));
}

// Sums of two windows, or of two units on two windows: of the first unit on
// both, then of the second.
typedef struct Sums {
  int32_t of[4];
} Sums;

// 11 instructions for four taps of two windows.
static inline void multiply(const int32_t* numbers, uint32_t fours,
                            const int16_t* first, const int16_t* second,
                            Sums* sums) {
  const int32_t* weights = numbers + 4;
  int32_t sum0 = numbers[2];
  int32_t sum1 = sum0;
  uint32_t a, b, c, d;
  __asm__ volatile(
      "1:\n"
      "  ldrd %[c], %[d], [%[weights]], #8\n"
      "  ldr %[a], [%[first]], #4\n"
      "  ldr %[b], [%[second]], #4\n"
      "  smlad %[sum0], %[c], %[a], %[sum0]\n"
      "  smlad %[sum1], %[c], %[b], %[sum1]\n"
      "  ldr %[a], [%[first]], #4\n"
      "  ldr %[b], [%[second]], #4\n"
      "  smlad %[sum0], %[d], %[a], %[sum0]\n"
      "  smlad %[sum1], %[d], %[b], %[sum1]\n"
      "  subs %[fours], %[fours], #1\n"
      "  bne 1b\n"
      : [weights] "+r"(weights), [first] "+r"(first), [second] "+r"(second),
        [sum0] "+r"(sum0), [sum1] "+r"(sum1), [fours] "+r"(fours), [a] "=&r"(a),
        [b] "=&r"(b), [c] "=&r"(c), [d] "=&r"(d)
      :
      : "cc", "memory");
  sums->of[0] = sum0;
  sums->of[1] = sum1;
}

// 17 instructions for four taps of two units and two windows.
static inline void multiply_two_units(const int32_t* numbers,
                                      const int32_t* other, uint32_t fours,
                                      const int16_t* first,
                                      const int16_t* second, Sums* sums) {
#ifndef __OPTIMIZE__
  // GCC at -O0 keeps too few registers for the loop below.
  Sums own, others;
  multiply(numbers, fours, first, second, &own);
  multiply(other, fours, first, second, &others);
  *sums = (Sums){{own.of[0], own.of[1], others.of[0], others.of[1]}};
#else
  const int32_t* weights = numbers + 4;
  int32_t sum0 = numbers[2];
  int32_t sum1 = sum0;
  int32_t sum2 = other[2];
  int32_t sum3 = sum2;
  const int32_t* others = other + 4;
  uint32_t a, b, c, d;
  __asm__ volatile(
      "1:\n"
      "  ldrd %[b], %[c], [%[weights]], #8\n"
      "  ldr %[d], [%[others]], #4\n"
      "  ldr %[a], [%[first]], #4\n"
      "  smlad %[sum0], %[b], %[a], %[sum0]\n"
      "  smlad %[sum2], %[d], %[a], %[sum2]\n"
      "  ldr %[a], [%[second]], #4\n"
      "  smlad %[sum1], %[b], %[a], %[sum1]\n"
      "  smlad %[sum3], %[d], %[a], %[sum3]\n"
      "  ldr %[d], [%[others]], #4\n"
      "  ldr %[a], [%[first]], #4\n"
      "  smlad %[sum0], %[c], %[a], %[sum0]\n"
      "  smlad %[sum2], %[d], %[a], %[sum2]\n"
      "  ldr %[a], [%[second]], #4\n"
      "  smlad %[sum1], %[c], %[a], %[sum1]\n"
      "  smlad %[sum3], %[d], %[a], %[sum3]\n"
      "  subs %[fours], %[fours], #1\n"
      "  bne 1b\n"
      : [weights] "+r"(weights), [others] "+r"(others), [first] "+r"(first),
        [second] "+r"(second), [sum0] "+r"(sum0), [sum1] "+r"(sum1),
        [sum2] "+r"(sum2), [sum3] "+r"(sum3), [fours] "+r"(fours), [a] "=&r"(a),
        [b] "=&r"(b), [c] "=&r"(c), [d] "=&r"(d)
      :
      : "cc", "memory");
  sums->of[0] = sum0;
  sums->of[1] = sum1;
  sums->of[2] = sum2;
  sums->of[3] = sum3;
#endif
}

static inline int32_t finish(const int32_t* numbers, int32_t zero_point,
                             int32_t sum) {
  __asm__(
      "  smmulr %[sum], %[sum], %[multiplier]\n"
      "  add %[sum], %[sum], %[sum], asr #31\n"
      "  asrs %[sum], %[sum], %[shift]\n"
      "  adc %[sum], %[sum], %[zero_point]\n"
      "  ssat %[sum], #8, %[sum]\n"
      : [sum] "+r"(sum)
      : [multiplier] "r"(numbers[0]), [shift] "r"(numbers[1]),
        [zero_point] "r"(zero_point)
      : "cc");
  return sum;
}

// Two outputs of a unit. Stores follow both, so that numbers are loaded once.
static inline void finish_two(const int32_t* numbers, int32_t zero_point,
                              const int32_t* sums, int8_t* output,
                              int32_t output_step) {
  const int32_t first = finish(numbers, zero_point, sums[0]);
  const int32_t second = finish(numbers, zero_point, sums[1]);
  output[0] = (int8_t)first;
  output[output_step] = (int8_t)second;
}

// A lone last window is both of a step.
static void run_unit(const SparsesepLines* lines, const int32_t* numbers,
                     const int16_t* window, int8_t* output) {
  uint32_t step = lines->window_step;
  int32_t output_step = lines->output_step;
  const int32_t zero_point = lines->zero_point;
  const uint32_t fours = (lines->window + 3) / 4;
  for (int32_t left = (int32_t)lines->outputs; left > 0; left -= 2) {
    Sums sums;
    if (left == 1) {
      step = 0;
      output_step = 0;
    }
    multiply(numbers, fours, window, window + step, &sums);
    finish_two(numbers, zero_point, sums.of, output, output_step);
    output += 2 * output_step;
    window += 2 * step;
  }
}

// Two units that share a strip.
static void run_two_units(const SparsesepLines* lines, const int32_t* numbers,
                          const int16_t* window, int8_t* output) {
  uint32_t step = lines->window_step;
  int32_t output_step = lines->output_step;
  const int32_t zero_point = lines->zero_point;
  const uint32_t fours = (lines->window + 3) / 4;
  const int32_t* other = (const int32_t*)(const void*)((const uint8_t*)numbers +
                                                       lines->table_step);
  for (int32_t left = (int32_t)lines->outputs; left > 0; left -= 2) {
    Sums sums;
    if (left == 1) {
      step = 0;
      output_step = 0;
    }
    multiply_two_units(numbers, other, fours, window, window + step, &sums);
    finish_two(numbers, zero_point, sums.of, output, output_step);
    finish_two(other, zero_point, sums.of + 2, output + 1, output_step);
    output += 2 * output_step;
    window += 2 * step;
  }
}

void sparsesep_depthwise_dsp(const SparsesepLines* lines) {
  const uint8_t* table = lines->table;
  const uint8_t* strip = lines->strip;
  int8_t* output = lines->output;
  for (uint32_t left = lines->units; left > 0;) {
    const int32_t* numbers = (const int32_t*)(const void*)table;
    const int16_t* window = (const int16_t*)(const void*)strip;
    const uint32_t units = left > 1 && lines->strip_step == 0 ? 2 : 1;
    if (units == 2) {
      run_two_units(lines, numbers, window, output);
    } else {
      run_unit(lines, numbers, window, output);
    }
    table += units * lines->table_step;
    strip += lines->strip_step;
    output += units;
    left -= units;
  }
  sparsesep_clamp_lines_dsp(lines);
}

#endif
