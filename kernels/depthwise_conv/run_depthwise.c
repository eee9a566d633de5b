#include <string.h>

#include "depthwise_conv/depthwise.h"
#include "sparsesep/compiler.h"

// The convolution along one axis of the image.
typedef struct Axis {
  int32_t input;    // pixels of the image
  int32_t pad;      // before it, for the first output; may be below 0
  int32_t outputs;  // to compute
  int32_t kernel;
  int32_t stride;
  int32_t dilation;
  int32_t input_step;   // elements from pixel to pixel
  int32_t output_step;  // and from output to output
  uint32_t tap_step;    // weights from tap to tap
} Axis;

// How lines lie in the image, and the memory that they take.
typedef struct Plan {
  Axis along;   // a line
  Axis across;  // from line to line
  int reuses;   // a line keeps rows of the line before
  uint32_t units;
  uint64_t strip_bytes;
  uint64_t table_bytes;
  uint64_t accumulator_bytes;
} Plan;

typedef struct Frame {
  const SparsesepDepthwiseConv* conv;
  const SparsesepDepthwiseVariant* variant;
  const Plan* plan;
  SparsesepRows rows;
  SparsesepStrips strips;
  SparsesepRow row;      // of neighboring windows; slot and pixels are a row's
  SparsesepRow padding;  // the same above and below the image
  int32_t skipped;       // elements before the first pixel of a row
  uint8_t* tables;
  uint32_t* accumulators;
} Frame;

static const void* section(const SparsesepDepthwiseConv* conv,
                           uint32_t offset) {
  return (const uint8_t*)conv + offset;
}

static uint32_t round_up(uint32_t value, uint32_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

static int32_t clamp(int32_t value, int32_t most) {
  if (value < 0) return 0;
  return value < most ? value : most;
}

// Windows side by side overlap where taps are neighbors. Others are gathered
// one by one.
static uint32_t window_step(const Plan* plan) {
  const uint32_t columns =
      (uint32_t)(plan->along.dilation == 1 ? plan->along.stride
                                           : plan->along.kernel);
  return columns * (uint32_t)plan->across.kernel;
}

static void plan_memory(const SparsesepDepthwiseVariant* variant, Plan* plan) {
  const uint64_t outputs = (uint64_t)plan->along.outputs;
  const uint32_t rows = (uint32_t)plan->across.kernel;
  const uint32_t window = rows * (uint32_t)plan->along.kernel;
  const uint64_t drift =
      plan->reuses ? SPARSESEP_DEPTHWISE_SWEEP * (uint64_t)plan->across.stride
                   : 0;
  const uint64_t step = (uint64_t)plan->along.stride;
  switch (variant->form) {
    case SPARSESEP_STRIP_BYTES:
      // Kernels read whole vectors, and four outputs at a time.
      plan->strip_bytes = ((outputs + 3) & ~UINT64_C(3)) * window_step(plan) +
                          round_up(window, 16) + drift;
      plan->table_bytes = (uint64_t)round_up(window, 16);
      break;
    case SPARSESEP_STRIP_HALVES:
      // Four taps at a time.
      plan->strip_bytes =
          2 * (outputs * window_step(plan) + window + 3 + drift);
      plan->table_bytes = 16 + 2 * round_up(window, 4);
      break;
    case SPARSESEP_STRIP_PAIRS:
      plan->strip_bytes = 4 * (((outputs | 1) * step + 3) / 2 * rows + drift);
      plan->table_bytes = 4 * (2 * (uint64_t)rows + SPARSESEP_TABLE_PARAMETERS);
      break;
    case SPARSESEP_STRIP_WORDS:
      plan->strip_bytes = 4 * (((outputs + 3) * step + 3) * rows + drift);
      plan->table_bytes = 4 * ((uint64_t)window + SPARSESEP_TABLE_PARAMETERS);
      break;
    default:
      plan->strip_bytes = 4 * ((outputs * step + 6) * (rows + 1) + drift);
      plan->table_bytes = 4 * ((uint64_t)window + SPARSESEP_TABLE_PARAMETERS);
      break;
  }
  plan->strip_bytes = (plan->strip_bytes + 15) & ~UINT64_C(15);
  plan->accumulator_bytes = variant->form == SPARSESEP_STRIP_WORDS
                                ? ((outputs + 3) & ~UINT64_C(3)) * 4
                                : 0;
}

// Bytes of a line. They wrap only where its image exceeds every memory.
static int32_t step_of(int32_t pixels, uint32_t channels) {
  return (int32_t)((uint32_t)pixels * channels);
}

static Plan make_plan(const SparsesepDepthwiseConv* conv,
                      const SparsesepConvShape* shape,
                      const SparsesepDepthwiseVariant* variant,
                      const SparsesepDepthwiseLines* part) {
  const uint32_t units = sparsesep_depthwise_units(conv);
  const int32_t width = shape->input_width;
  const Axis down = {
      shape->input_height,
      shape->pad_top,
      shape->output_height,
      conv->kernel_height,
      conv->stride_height,
      conv->dilation_height,
      step_of(width, conv->channels),
      step_of(shape->output_width, units),
      1,
  };
  const Axis right = {
      width,
      shape->pad_left,
      shape->output_width,
      conv->kernel_width,
      conv->stride_width,
      conv->dilation_width,
      conv->channels,
      (int32_t)units,
      conv->kernel_height,
  };
  const int is_down = sparsesep_depthwise_lines_go_down(shape);
  Plan plan = {
      is_down ? down : right, is_down ? right : down, 0, units, 0, 0, 0};
  plan.across.pad -= part->first * plan.across.stride;
  plan.across.outputs = part->count;
  if (part->is_packed) {
    plan.along.output_step = (int32_t)units;
    plan.across.output_step = step_of(plan.along.outputs, units);
  }
  plan.reuses =
      plan.across.dilation == 1 && plan.across.stride < plan.across.kernel;
  plan_memory(variant, &plan);
  return plan;
}

// Channels that are gathered at once.
static uint32_t strips_of(const SparsesepDepthwiseConv* conv,
                          const SparsesepDepthwiseVariant* variant) {
  return conv->channels < variant->channels ? conv->channels
                                            : variant->channels;
}

SPARSESEP_COLD
uint64_t sparsesep_depthwise_lines_scratch_bytes(
    const SparsesepDepthwiseConv* conv, const SparsesepConvShape* shape,
    const SparsesepDepthwiseVariant* variant) {
  const SparsesepDepthwiseLines part = {0, 1, 0};
  const Plan plan = make_plan(conv, shape, variant, &part);
  const uint64_t channels = strips_of(conv, variant);
  return channels * (plan.strip_bytes + conv->multiplier * plan.table_bytes) +
         plan.accumulator_bytes;
}

// How rows of the image lie under a line of neighboring windows. Their pixels
// are those of `input` until it is known which they are: rows of padding, too,
// compute addresses from them.
static void make_rows(Frame* f, const int8_t* input) {
  const Axis* along = &f->plan->along;
  SparsesepRow* row = &f->row;
  const int32_t columns = (along->outputs - 1) * along->stride + along->kernel;
  const int32_t start = along->pad < 0 ? -along->pad : 0;
  const int32_t left = clamp(along->pad, columns);
  const int32_t inside = clamp(along->input - start, columns - left);
  row->column = 0;
  row->pixels = input;
  row->left = (uint32_t)left;
  row->inside = (uint32_t)inside;
  row->right = (uint32_t)(columns - left - inside);
  row->step = along->input_step;
  f->padding = *row;
  f->padding.left += f->padding.inside;
  f->padding.inside = 0;
  f->skipped = start * along->input_step;
}

// The pixels of a row of the image that a row of a window lies on, NULL above
// and below the image.
static inline const int8_t* row_at(const Axis* across, const int8_t* input,
                                   int32_t at) {
  return at >= 0 && at < across->input ? input + at * across->input_step : NULL;
}

// Gathers the rows of a line from row `first` of its window on, whose element
// of the strip is `slot`.
static void gather(Frame* f, const int8_t* input, int32_t line, int32_t first,
                   uint32_t slot) {
  const Axis* across = &f->plan->across;
  const int pairs =
      f->variant->puts_two_rows && f->strips.channels == f->variant->channels;
  int32_t at = line * across->stride + first * across->dilation - across->pad;
  for (int32_t left = across->kernel - first; left > 0; --left, ++slot) {
    const int8_t* pixels = row_at(across, input, at);
    SparsesepRow* row = pixels != NULL ? &f->row : &f->padding;
    at += across->dilation;
    row->slot = slot;
    row->below = 0;
    if (pixels != NULL) {
      row->pixels = pixels + f->skipped;
      if (pairs && left > 1 && row_at(across, input, at) != NULL) {
        row->below = across->input_step;
        at += across->dilation;
        ++slot;
        --left;
      }
    }
    f->variant->put(&f->strips, row);
  }
}

// The same for dilated lines: the columns of every window, one by one.
static void gather_windows(const Frame* f, const int8_t* input, int32_t line,
                           int32_t first, uint32_t slot) {
  const Axis* along = &f->plan->along;
  const Axis* across = &f->plan->across;
  SparsesepRow row = {slot, 0, 0, 0, 0, input, along->input_step, 0};
  int32_t at = line * across->stride + first * across->dilation - across->pad;
  for (int32_t y = first; y < across->kernel; ++y, ++row.slot) {
    const int8_t* pixels = row_at(across, input, at);
    at += across->dilation;
    row.column = 0;
    for (int32_t x = 0; x < along->outputs; ++x) {
      int32_t pixel = x * along->stride - along->pad;
      for (int32_t tap = 0; tap < along->kernel; ++tap) {
        row.inside = pixels != NULL && pixel >= 0 && pixel < along->input;
        row.left = 1 - row.inside;
        if (row.inside) row.pixels = pixels + pixel * along->input_step;
        f->variant->put(&f->strips, &row);
        ++row.column;
        pixel += along->dilation;
      }
    }
  }
}

// The tables of the channels whose first unit is `unit`.
static void pack_tables(const Frame* f, uint32_t unit) {
  const Plan* plan = f->plan;
  const uint32_t window = (uint32_t)(plan->along.kernel * plan->across.kernel);
  const int8_t* weights = section(f->conv, f->conv->weights_offset);
  SparsesepUnit numbers = {weights + unit * window,
                           (uint32_t)plan->along.kernel,
                           plan->along.tap_step,
                           (uint32_t)plan->across.kernel,
                           plan->across.tap_step,
                           0,
                           0,
                           0};
  uint8_t* table = f->tables;
  const uint32_t end = unit + f->strips.channels * f->conv->multiplier;
  for (; unit < end; ++unit) {
    numbers.bias = f->rows.bias[unit];
    numbers.multiplier = f->rows.multiplier[unit];
    numbers.shift = f->rows.shift[unit];
    f->variant->pack(&numbers, table);
    numbers.taps += window;
    table += plan->table_bytes;
  }
}

// Bytes of what a strip counts its slots in.
static uint32_t slot_bytes(const SparsesepDepthwiseVariant* variant) {
  if (variant->form == SPARSESEP_STRIP_BYTES) return 1;
  return variant->form == SPARSESEP_STRIP_HALVES ? 2 : 4;
}

// What is the same for all lines; strip and output follow.
static SparsesepLines make_lines(const Frame* f, uint32_t unit) {
  const Plan* plan = f->plan;
  const uint32_t multiplier = f->conv->multiplier;
  const SparsesepLines lines = {
      NULL,
      f->tables,
      NULL,
      plan->along.output_step,
      (uint32_t)plan->along.outputs,
      multiplier == 1 ? f->strips.channels : multiplier,
      multiplier == 1 ? f->strips.bytes : 0,
      f->rows.output_zero_point,
      (uint32_t)plan->along.stride,
      f->accumulators,
      (uint32_t)plan->table_bytes,
      window_step(plan),
      (uint32_t)(plan->along.kernel * plan->across.kernel),
      &f->rows,
      unit,
  };
  return lines;
}

// The line of every unit of the channels.
static void run_lines(const Frame* f, const SparsesepLines* lines) {
  if (lines->strip_step != 0) {
    f->variant->run(lines);
    return;
  }
  SparsesepLines units = *lines;
  for (uint32_t c = f->strips.channels; c > 0; --c) {
    f->variant->run(&units);
    units.strip += f->strips.bytes;
    units.table += units.units * units.table_step;
    units.output += units.units;
    units.first_unit += units.units;
  }
}

// All lines of the channels from `channel` on.
static void run_channels(Frame* f, uint32_t channel, const int8_t* input,
                         int8_t* output) {
  const Axis* across = &f->plan->across;
  const uint32_t unit = channel * f->conv->multiplier;
  const uint32_t slot = slot_bytes(f->variant);
  SparsesepLines lines = make_lines(f, unit);
  lines.output = output + unit;
  uint32_t drift = 0;
  pack_tables(f, unit);
  for (int32_t line = 0; line < across->outputs; ++line) {
    const int continues =
        f->plan->reuses && line % SPARSESEP_DEPTHWISE_SWEEP != 0;
    drift = continues ? drift + (uint32_t)across->stride : 0;
    const int32_t first = continues ? across->kernel - across->stride : 0;
    if (f->plan->along.dilation == 1) {
      gather(f, input + channel, line, first, drift + (uint32_t)first);
    } else {
      gather_windows(f, input + channel, line, first, drift + (uint32_t)first);
    }
    lines.strip = f->strips.first + drift * slot;
    run_lines(f, &lines);
    lines.output += across->output_step;
  }
}

void sparsesep_depthwise_lines(const SparsesepDepthwiseConv* conv,
                               const SparsesepConvShape* shape,
                               const SparsesepDepthwiseVariant* variant,
                               const SparsesepDepthwiseLines* part,
                               const int8_t* input, int8_t* output,
                               void* scratch) {
  const Plan plan = make_plan(conv, shape, variant, part);
  uint8_t* const strips = scratch;
  uint8_t* const accumulators =
      strips + strips_of(conv, variant) * (size_t)plan.strip_bytes;
  const SparsesepRows rows = {
      section(conv, conv->bias_offset),
      section(conv, conv->multiplier_offset),
      section(conv, conv->shift_offset),
      conv->output_zero_point,
      conv->activation_min,
      conv->activation_max,
      TFLITE_SINGLE_ROUNDING ? 0 : conv->flags & SPARSESEP_DEPTHWISE_BOUNDED,
  };
  const SparsesepStrips all = {strips, (uint32_t)plan.strip_bytes,
                               (uint32_t)plan.across.kernel, variant->channels,
                               conv->input_zero_point};
  Frame f;
  f.conv = conv;
  f.variant = variant;
  f.plan = &plan;
  f.rows = rows;
  f.strips = all;
  f.tables = accumulators + plan.accumulator_bytes;
  f.accumulators = (uint32_t*)(void*)accumulators;
  make_rows(&f, input);
  for (uint32_t c = 0; c < conv->channels; c += variant->channels) {
    const uint32_t left = conv->channels - c;
    if (left < variant->channels) f.strips.channels = left;
    run_channels(&f, c, input, output);
  }
}
