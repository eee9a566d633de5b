// What the frame of the depthwise kernels and the kernels share.
//
// The frame runs line after line of outputs, channel after channel. A line goes
// along the longer axis of the outputs. It gathers the rows of the image that a
// line reads into a strip per channel: columns along the line, and the rows of
// a column side by side, so that the window of an output is in one piece.
//
// From line to line a strip drifts: with `rows` elements in a column, row y of
// column x lies at x * rows + y for all y. The next row of a column takes the
// place of one that the next column is done with, and nothing is copied.
//
// Scratch, in this order: strips of a few channels; tables of their weights;
// accumulators of a line.
#ifndef SPARSESEP_DEPTHWISE_CONV_DEPTHWISE_H_
#define SPARSESEP_DEPTHWISE_CONV_DEPTHWISE_H_

#include "common/isa.h"
#include "common/rows.h"
#include "sparsesep/depthwise_conv.h"

// How a strip holds elements.
typedef enum SparsesepStripForm {
  SPARSESEP_STRIP_BYTES,   // int8, column by column
  SPARSESEP_STRIP_HALVES,  // int16, column by column
  SPARSESEP_STRIP_PAIRS,   // int16, columns two by two: a word for each row
  SPARSESEP_STRIP_WORDS,   // int32, column by column
  SPARSESEP_STRIP_SPACED,  // the same with a word of room after each column
} SparsesepStripForm;

// Lines of a sweep: after them strips start anew, which bounds their drift.
#define SPARSESEP_DEPTHWISE_SWEEP 16

// Words that tables of the 3x3 variants hold after the weights: bias,
// multiplier and shift, as a kernel likes them.
#define SPARSESEP_TABLE_PARAMETERS 3

// The strips of a few channels.
typedef struct SparsesepStrips {
  uint8_t* first;  // strip of the first channel
  uint32_t bytes;  // of a strip
  uint32_t rows;   // elements of a column
  uint32_t channels;
  int32_t zero_point;
} SparsesepStrips;

// A row of the image under a line: columns of padding around pixels. 3x3
// variants see at most one column of padding on each side.
typedef struct SparsesepRow {
  uint32_t slot;  // row in the strip, drift included
  uint32_t column;
  uint32_t left;
  uint32_t inside;  // 0 where the whole row is padding
  uint32_t right;
  const int8_t* pixels;
  int32_t step;  // from pixel to pixel
  int32_t
      below;  // 0, or from a pixel to that of the next row, which is for the
              // next slot: only where the variant takes two rows at once
} SparsesepRow;

// The numbers of a unit as the blob has them, its taps seen along a line.
typedef struct SparsesepUnit {
  const int8_t* taps;
  uint32_t along;  // taps along the line, and their distance
  uint32_t along_step;
  uint32_t across;
  uint32_t across_step;
  int32_t bias;
  int32_t multiplier;
  int32_t shift;
} SparsesepUnit;

// Three taps across a line, multiplied by `scale`.
static inline void sparsesep_pack_column(const int8_t* taps, uint32_t step,
                                         int32_t scale, int32_t* to) {
  to[0] = scale * *taps;
  taps += step;
  to[1] = scale * *taps;
  to[2] = scale * taps[step];
}

// Writes a table of words: nine taps, column by column, and the parameters.
static inline void sparsesep_pack_nine(const SparsesepUnit* unit, int32_t scale,
                                       int32_t* to) {
  const uint32_t step = unit->across_step;
  const int8_t* taps = unit->taps;
  sparsesep_pack_column(taps, step, scale, to);
  taps += unit->along_step;
  sparsesep_pack_column(taps, step, scale, to + 3);
  taps += unit->along_step;
  sparsesep_pack_column(taps, step, scale, to + 6);
  to[9] = (int32_t)((uint32_t)scale * (uint32_t)unit->bias);
  to[10] = unit->multiplier;
  to[11] = -unit->shift;
}

// A line of outputs of a few units. Assembly reads the first words.
typedef struct SparsesepLines {
  const uint8_t* strip;  // the first window of the first unit
  const uint8_t* table;  // what `pack` has written
  int8_t* output;        // the first of the first unit; units lie side by side
  int32_t output_step;   // from pixel to pixel
  uint32_t outputs;      // of a unit, at least 1
  uint32_t units;        // at least 1
  uint32_t strip_step;   // bytes from unit to unit; 0 where they share a strip
  int32_t zero_point;    // of the outputs
  uint32_t stride;
  uint32_t* accumulators;
  uint32_t table_step;        // bytes from unit to unit
  uint32_t window_step;       // elements from window to window
  uint32_t window;            // elements of a window
  const SparsesepRows* rows;  // of all units, and which one is the first
  uint32_t first_unit;
} SparsesepLines;

// What a blob must be for a variant.
typedef enum SparsesepDepthwiseNeeds {
  SPARSESEP_NEEDS_NOTHING,
  SPARSESEP_NEEDS_BOUNDED,
  SPARSESEP_NEEDS_3X3,  // bounded, 3x3 taps, strides of 1 or 2
} SparsesepDepthwiseNeeds;

struct SparsesepDepthwiseVariant {
  uint8_t form;           // SparsesepStripForm
  uint8_t channels;       // gathered at once
  uint8_t needs;          // SparsesepDepthwiseNeeds
  uint8_t puts_two_rows;  // of the image, where it is given whole channels
  void (*put)(const SparsesepStrips* strips, const SparsesepRow* row);
  void (*pack)(const SparsesepUnit* unit, void* table);
  void (*run)(const SparsesepLines* lines);
};

// Whether the variant runs a blob.
int sparsesep_depthwise_variant_fits(const SparsesepDepthwiseVariant* variant,
                                     const SparsesepDepthwiseConv* conv);

// Lines go along the longer axis of the outputs, down where the image is taller
// than wide.
static inline int sparsesep_depthwise_lines_go_down(
    const SparsesepConvShape* shape) {
  return shape->output_height > shape->output_width;
}

// Some lines of an image, one after the other.
typedef struct SparsesepDepthwiseLines {
  int32_t first;
  int32_t count;
  int is_packed;  // outputs go side by side, line after line, and not into an
                  // image
} SparsesepDepthwiseLines;

// Bytes of scratch to compute lines, however many.
uint64_t sparsesep_depthwise_lines_scratch_bytes(
    const SparsesepDepthwiseConv* conv, const SparsesepConvShape* shape,
    const SparsesepDepthwiseVariant* variant);

// Computes lines of outputs of one image. `output` is where the first output of
// the first of them goes.
void sparsesep_depthwise_lines(const SparsesepDepthwiseConv* conv,
                               const SparsesepConvShape* shape,
                               const SparsesepDepthwiseVariant* variant,
                               const SparsesepDepthwiseLines* part,
                               const int8_t* input, int8_t* output,
                               void* scratch);

// Bytes of scratch of a blob without those of its pointwise kernel, and the
// pixels that this one gets at once: 0 where there is none.
uint64_t sparsesep_depthwise_own_scratch_bytes(
    const SparsesepDepthwiseConv* conv, const SparsesepConvShape* shape,
    const SparsesepDepthwiseVariant* variant, int32_t* pixels);

// Functions of the variants, some of which are another core's.
void sparsesep_put_bytes_scalar(const SparsesepStrips* strips,
                                const SparsesepRow* row);
void sparsesep_pack_bytes_scalar(const SparsesepUnit* unit, void* table);
void sparsesep_depthwise_scalar(const SparsesepLines* lines);

void sparsesep_put_pairs_dsp(const SparsesepStrips* strips,
                             const SparsesepRow* row);
void sparsesep_pack_pairs_dsp(const SparsesepUnit* unit, void* table);
void sparsesep_depthwise_3x3_dsp(const SparsesepLines* lines);

// Clamps lines to limits that are narrower than int8.
void sparsesep_clamp_lines_dsp(const SparsesepLines* lines);

void sparsesep_put_halves_dsp(const SparsesepStrips* strips,
                              const SparsesepRow* row);
void sparsesep_pack_halves_dsp(const SparsesepUnit* unit, void* table);
void sparsesep_depthwise_dsp(const SparsesepLines* lines);

void sparsesep_put_words_v6m(const SparsesepStrips* strips,
                             const SparsesepRow* row);
void sparsesep_pack_words_v6m(const SparsesepUnit* unit, void* table);
void sparsesep_depthwise_3x3_v6m(const SparsesepLines* lines);

void sparsesep_put_spaced_v7m(const SparsesepStrips* strips,
                              const SparsesepRow* row);
void sparsesep_pack_spaced_v7m(const SparsesepUnit* unit, void* table);
void sparsesep_depthwise_3x3_v7m(const SparsesepLines* lines);

void sparsesep_put_bytes_mve(const SparsesepStrips* strips,
                             const SparsesepRow* row);
void sparsesep_depthwise_mve(const SparsesepLines* lines);

#endif  // SPARSESEP_DEPTHWISE_CONV_DEPTHWISE_H_
