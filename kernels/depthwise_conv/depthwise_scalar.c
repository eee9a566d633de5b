// Any taps, portable: strips and weights are bytes, as they are.
#include "depthwise_conv/depthwise.h"

void sparsesep_put_bytes_scalar(const SparsesepStrips* strips,
                                const SparsesepRow* row) {
  const uint32_t rows = strips->rows;
  const int8_t zero_point = (int8_t)strips->zero_point;
  int8_t* strip = (int8_t*)strips->first + row->column * rows + row->slot;
  for (uint32_t c = 0; c < strips->channels; ++c, strip += strips->bytes) {
    int8_t* to = strip;
    for (uint32_t n = row->left; n > 0; --n, to += rows) *to = zero_point;
    const int8_t* pixel = row->pixels + c;
    for (uint32_t n = row->inside; n > 0; --n, to += rows) {
      *to = *pixel;
      pixel += row->step;
    }
    for (uint32_t n = row->right; n > 0; --n, to += rows) *to = zero_point;
  }
}

// The taps of 3x3 windows, one by one.
static int8_t* pack_3x3(const SparsesepUnit* unit, int8_t* to) {
  const int8_t* from = unit->taps;
  const uint32_t second = unit->across_step;
  const uint32_t third = 2 * second;
  for (uint32_t x = 3; x > 0; --x, from += unit->along_step, to += 3) {
    to[0] = from[0];
    to[1] = from[second];
    to[2] = from[third];
  }
  return to;
}

static int8_t* pack_taps(const SparsesepUnit* unit, int8_t* to) {
  for (uint32_t x = 0; x < unit->along; ++x) {
    const int8_t* from = unit->taps + x * unit->along_step;
    for (uint32_t y = unit->across; y > 0; --y, from += unit->across_step) {
      *to++ = *from;
    }
  }
  return to;
}

void sparsesep_pack_bytes_scalar(const SparsesepUnit* unit, void* table) {
  const int is_3x3 = unit->along == 3 && unit->across == 3;
  int8_t* to = is_3x3 ? pack_3x3(unit, table) : pack_taps(unit, table);
  for (uint32_t n = -(unit->along * unit->across) & 15; n > 0; --n) *to++ = 0;
}

static uint32_t multiply(const int8_t* x, const int8_t* weights, uint32_t count,
                         uint32_t acc) {
  for (; count >= 4; count -= 4, x += 4, weights += 4) {
    acc += (uint32_t)(x[0] * weights[0]);
    acc += (uint32_t)(x[1] * weights[1]);
    acc += (uint32_t)(x[2] * weights[2]);
    acc += (uint32_t)(x[3] * weights[3]);
  }
  for (; count > 0; --count) acc += (uint32_t)(*x++ * *weights++);
  return acc;
}

static void run_unit(const SparsesepLines* lines, uint32_t n) {
  const SparsesepRows* rows = lines->rows;
  const uint32_t unit = lines->first_unit + n;
  const uint32_t bias = (uint32_t)rows->bias[unit];
  const int8_t* weights = (const int8_t*)lines->table + n * lines->table_step;
  const int8_t* window = (const int8_t*)lines->strip + n * lines->strip_step;
  int8_t* output = lines->output + n;
  for (uint32_t left = lines->outputs; left > 0; --left) {
    const uint32_t acc = multiply(window, weights, lines->window, bias);
    *output = sparsesep_finish_row(rows, unit, acc);
    output += lines->output_step;
    window += lines->window_step;
  }
}

void sparsesep_depthwise_scalar(const SparsesepLines* lines) {
  for (uint32_t n = 0; n < lines->units; ++n) run_unit(lines, n);
}
