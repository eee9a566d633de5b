// Any taps on Helium: a window of up to 16 taps is one vector, and VMLADAV
// multiplies and sums it. Four outputs are requantized at once.
#include "common/isa.h"
#include "depthwise_conv/depthwise.h"

#if SPARSESEP_HAS_MVE

#include <arm_mve.h>

// Columns of one pixel or of padding in up to eight channels.
typedef struct Columns {
  int8_t* to;
  uint32_t rows;
  uint16x8_t strips;  // where channels begin
  mve_pred16_t channels;
} Columns;

static void put_padding(Columns* columns, uint32_t count, int8_t zero_point) {
  const int16x8_t values = vdupq_n_s16(zero_point);
  for (; count > 0; --count, columns->to += columns->rows) {
    vstrbq_scatter_offset_p_s16(columns->to, columns->strips, values,
                                columns->channels);
  }
}

// At least one.
static void put_pixels(Columns* columns, uint32_t count, const int8_t* pixel,
                       int32_t step) {
  int8_t* to = columns->to;
  __asm__ volatile(
      "vmsr p0, %[channels]\n"
      "dls lr, %[count]\n"
      "1:\n"
      "vpstt\n"
      "vldrbt.u16 q0, [%[pixel]]\n"
      "vstrbt.16 q0, [%[to], %q[strips]]\n"
      "add %[pixel], %[pixel], %[step]\n"
      "add %[to], %[to], %[rows]\n"
      "le lr, 1b\n"
      : [to] "+&r"(to), [pixel] "+&r"(pixel)
      : [count] "r"(count), [step] "r"(step), [rows] "r"(columns->rows),
        [strips] "w"(columns->strips), [channels] "r"(columns->channels)
      : "q0", "lr", "cc", "memory");
  columns->to = to;
}

void sparsesep_put_bytes_mve(const SparsesepStrips* strips,
                             const SparsesepRow* row) {
  if (7 * strips->bytes > UINT16_MAX) {
    sparsesep_put_bytes_scalar(strips, row);
    return;
  }
  Columns columns = {
      (int8_t*)strips->first + row->column * strips->rows + row->slot,
      strips->rows,
      vmulq_n_u16(vidupq_n_u16(0, 1), (uint16_t)strips->bytes),
      vctp16q(strips->channels),
  };
  const int8_t zero_point = (int8_t)strips->zero_point;
  if (row->left > 0) put_padding(&columns, row->left, zero_point);
  if (row->inside > 0) {
    put_pixels(&columns, row->inside, row->pixels, row->step);
  }
  if (row->right > 0) put_padding(&columns, row->right, zero_point);
}

// A unit, and where its next windows and outputs are.
typedef struct Unit {
  const int8_t* window;
  const int8_t* weights;
  int8_t* output;
  int32_t bias;
  int32_t multiplier;
  int32_t shift;
} Unit;

// Sums of four windows of more than one vector.
static int32x4_t sum_windows(const SparsesepLines* lines, Unit* unit) {
  int32_t sums[4];
  for (int n = 0; n < 4; ++n) {
    int32_t sum = 0;
    for (uint32_t tap = 0; tap < lines->window; tap += 16) {
      sum = vmladavaq_s8(sum, vldrbq_s8(unit->window + tap),
                         vldrbq_s8(unit->weights + tap));
    }
    sums[n] = sum;
    unit->window += lines->window_step;
  }
  return vldrwq_s32(sums);
}

static int32x4_t requantize(int32x4_t sums, const SparsesepLines* lines,
                            const Unit* unit) {
  int32x4_t high =
      vqrdmulhq_n_s32(vaddq_n_s32(sums, unit->bias), unit->multiplier);
  high = vaddq_s32(high, vshrq_n_s32(high, 31));
  high = vaddq_n_s32(vrshlq_n_s32(high, unit->shift), lines->zero_point);
  high = vmaxq_s32(high, vdupq_n_s32(lines->rows->activation_min));
  return vminq_s32(high, vdupq_n_s32(lines->rows->activation_max));
}

static void run_long_windows(const SparsesepLines* lines, uint32x4_t places,
                             Unit unit) {
  for (int32_t left = (int32_t)lines->outputs; left > 0; left -= 4) {
    const int32x4_t values =
        requantize(sum_windows(lines, &unit), lines, &unit);
    vstrbq_scatter_offset_p_s32(unit.output, places, values,
                                vctp32q((uint32_t)left));
    unit.output += 4 * lines->output_step;
  }
}

// Four outputs from windows of one vector; `next` steps to the next window.
#define FOUR_OUTPUTS(next)               \
  "vldrb.u8 q0, [%[window]]" next        \
  "vmladav.s8 r4, q0, %q[weights]\n"     \
  "vldrb.u8 q0, [%[window]]" next        \
  "vmladav.s8 r6, q0, %q[weights]\n"     \
  "vldrb.u8 q0, [%[window]]" next        \
  "vmladav.s8 r8, q0, %q[weights]\n"     \
  "vldrb.u8 q0, [%[window]]" next        \
  "vmladav.s8 r10, q0, %q[weights]\n"    \
  "vmov q0[2], q0[0], r4, r8\n"          \
  "vmov q0[3], q0[1], r6, r10\n"         \
  "vadd.i32 q0, q0, %q[bias]\n"          \
  "vqrdmulh.s32 q0, q0, %[multiplier]\n" \
  "vshr.s32 q1, q0, #31\n"               \
  "vadd.i32 q0, q0, q1\n"                \
  "vrshl.s32 q0, %[shift]\n"             \
  "vadd.i32 q0, q0, %q[zero_point]\n"    \
  "vmax.s32 q0, q0, %q[low]\n"           \
  "vmin.s32 q0, q0, %q[high]\n"

#define OPERANDS                                                              \
  [multiplier] "r"(*multipliers), [shift] "r"((int32_t)*shifts),              \
      [weights] "w"(weights), [bias] "w"(bias), [zero_point] "w"(zero_point), \
      [places] "w"(places), [low] "w"(low), [high] "w"(high)
#define CLOBBERED "r4", "r6", "r8", "r10", "q0", "q1", "cc", "memory"

// All units, from windows of one vector. `next` as in FOUR_OUTPUTS, with what
// it reads. The loop counter is where WLS wants it, since no register is left.
#define SHORT_UNITS(next, ...)                                                  \
  for (uint32_t n = lines->units; n > 0; --n) {                                 \
    const int8_t* window = strip;                                               \
    int8_t* output = outputs;                                                   \
    register uint32_t fours __asm__("lr") = lines->outputs / 4;                 \
    const int8x16_t weights = vldrbq_s8(table);                                 \
    const int32x4_t bias = vdupq_n_s32(*biases++);                              \
    __asm__ volatile(                                                         \
        "wls lr, %[fours], 2f\n" \
        "1:\n" FOUR_OUTPUTS(next)                                             \
        "vstrb.32 q0, [%[output], %q[places]]\n"                              \
        "add %[output], %[output], %[step]\n"                                 \
        "le lr, 1b\n"                                                         \
        "2:\n"                                                                \
        : [window] "+&r"(window), [output] "+&r"(output), [fours] "+r"(fours) \
        : [step] "r"(4 * lines->output_step), OPERANDS, ##__VA_ARGS__         \
        : CLOBBERED); \
    if (rest != 0) {                                                            \
      __asm__ volatile("vctp.32 %[rest]\n" FOUR_OUTPUTS(next)                 \
                       "vpst\n"                                               \
                       "vstrbt.32 q0, [%[output], %q[places]]\n"              \
                       : [window] "+&r"(window)                               \
                       : [output] "r"(output), [rest] "r"(rest), OPERANDS,    \
                         ##__VA_ARGS__                                        \
                       : CLOBBERED); \
    }                                                                           \
    ++multipliers;                                                              \
    ++shifts;                                                                   \
    ++outputs;                                                                  \
    strip += lines->strip_step;                                                 \
    table += lines->table_step;                                                 \
  }

// 21 instructions for four outputs of 3x3 taps at stride 1 and 2, 25 otherwise.
__attribute__((noinline)) static void run_short_windows(
    const SparsesepLines* lines, uint32x4_t places) {
  const SparsesepRows* rows = lines->rows;
  const int32_t* biases = rows->bias + lines->first_unit;
  const int32_t* multipliers = rows->multiplier + lines->first_unit;
  const int8_t* shifts = rows->shift + lines->first_unit;
  const int8_t* strip = (const int8_t*)lines->strip;
  const int8_t* table = (const int8_t*)lines->table;
  int8_t* outputs = lines->output;
  const uint32_t rest = lines->outputs % 4;
  const int32x4_t low = vdupq_n_s32(rows->activation_min);
  const int32x4_t high = vdupq_n_s32(rows->activation_max);
  const int32x4_t zero_point = vdupq_n_s32(lines->zero_point);
  if (lines->window_step == 3) {
    SHORT_UNITS(", #3\n")
  } else if (lines->window_step == 6) {
    SHORT_UNITS(", #6\n")
  } else {
    SHORT_UNITS(
        "\nadd %[window], %[window], %[next_step]\n", [next_step] "r"(
                                                          lines->window_step))
  }
}

static void run_long_unit(const SparsesepLines* lines, uint32x4_t places,
                          uint32_t n) {
  const SparsesepRows* rows = lines->rows;
  const uint32_t row = lines->first_unit + n;
  const Unit unit = {
      (const int8_t*)lines->strip + n * lines->strip_step,
      (const int8_t*)lines->table + n * lines->table_step,
      lines->output + n,
      rows->bias[row],
      rows->multiplier[row],
      rows->shift[row],
  };
  run_long_windows(lines, places, unit);
}

void sparsesep_depthwise_mve(const SparsesepLines* lines) {
  const uint32x4_t places =
      vmulq_n_u32(vidupq_n_u32(0, 1), (uint32_t)lines->output_step);
  if (lines->window <= 16) {
    run_short_windows(lines, places);
    return;
  }
  for (uint32_t n = 0; n < lines->units; ++n) run_long_unit(lines, places, n);
}

#endif  // SPARSESEP_HAS_MVE
