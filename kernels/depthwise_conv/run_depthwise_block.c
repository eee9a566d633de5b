// Both kinds of blobs. In a block the depthwise convolution writes a few lines
// into a rolling buffer, and the pointwise one multiplies their pixels as a
// batch: between the two, no more than these lines exist.
//
// Scratch of a block, in this order: that of the depthwise lines; the rolling
// buffer; outputs of a line, where lines go down; what the pointwise kernel
// asks for.
#include "depthwise_conv/depthwise.h"
#include "sparse_conv/pixels.h"
#include "sparsesep/compiler.h"

// Lines of a rolling buffer: with every buffer the strips start anew, so that
// fewer would gather more rows twice.
#define MOST_LINES 4

typedef struct Block {
  const SparsesepDepthwiseConv* conv;
  const SparsesepConvShape* shape;
  const SparsesepDepthwiseVariant* variant;
  int is_down;
  int32_t lines;    // of the image
  int32_t outputs;  // of a line
  int32_t rolling;  // lines of the buffer
  uint64_t strip_bytes;
  uint64_t buffer_bytes;
  uint64_t output_bytes;
} Block;

static uint64_t align(uint64_t bytes) { return (bytes + 15) & ~UINT64_C(15); }

static Block make_block(const SparsesepDepthwiseConv* conv,
                        const SparsesepConvShape* shape,
                        const SparsesepDepthwiseVariant* variant) {
  const int is_down = sparsesep_depthwise_lines_go_down(shape);
  const int32_t lines = is_down ? shape->output_width : shape->output_height;
  const int32_t outputs = is_down ? shape->output_height : shape->output_width;
  const int32_t buffers = (lines + MOST_LINES - 1) / MOST_LINES;
  const int32_t rolling = (lines + buffers - 1) / buffers;
  const uint64_t pixels = (uint64_t)rolling * (uint64_t)outputs;
  const Block block = {
      conv,
      shape,
      variant,
      is_down,
      lines,
      outputs,
      rolling,
      align(sparsesep_depthwise_lines_scratch_bytes(conv, shape, variant)),
      align(pixels * sparsesep_depthwise_units(conv)),
      is_down ? align((uint64_t)outputs * sparsesep_depthwise_outputs(conv))
              : 0,
  };
  return block;
}

SPARSESEP_COLD
uint64_t sparsesep_depthwise_own_scratch_bytes(
    const SparsesepDepthwiseConv* conv, const SparsesepConvShape* shape,
    const SparsesepDepthwiseVariant* variant, int32_t* pixels) {
  if (conv->kind == SPARSESEP_KIND_DEPTHWISE) {
    *pixels = 0;
    return sparsesep_depthwise_lines_scratch_bytes(conv, shape, variant);
  }
  const Block block = make_block(conv, shape, variant);
  *pixels = (block.is_down ? 1 : block.rolling) * block.outputs;
  return block.strip_bytes + block.buffer_bytes + block.output_bytes;
}

SPARSESEP_COLD
uint64_t sparsesep_depthwise_scratch_bytes(
    const SparsesepDepthwiseConv* conv, const SparsesepConvShape* shape,
    const SparsesepDepthwiseVariant* variant) {
  int32_t pixels;
  const uint64_t own =
      sparsesep_depthwise_own_scratch_bytes(conv, shape, variant, &pixels);
  if (pixels == 0) return own;
  const SparsesepPackedHeader* weights = sparsesep_depthwise_pointwise(conv);
  return own + sparsesep_select_fully_connected(weights)->scratch_bytes(weights,
                                                                        pixels);
}

// Outputs of a line that goes down, into its column of the image.
static void put_column(const Block* block, const int8_t* from, int8_t* output) {
  const uint32_t units = sparsesep_depthwise_outputs(block->conv);
  const SparsesepPixels pixels = {
      units,
      (uint32_t)block->shape->output_width * units,
      units,
      (units | (uintptr_t)output) % sizeof(uint32_t) == 0,
  };
  sparsesep_copy_pixels(&pixels, (uint8_t*)output, (const uint8_t*)from,
                        block->outputs);
}

static void run_block(const Block* block, const int8_t* input, int8_t* output,
                      uint8_t* scratch) {
  const SparsesepDepthwiseConv* conv = block->conv;
  const SparsesepPackedHeader* weights = sparsesep_depthwise_pointwise(conv);
  const SparsesepFullyConnectedVariant* pointwise =
      sparsesep_select_fully_connected(weights);
  SparsesepFullyConnectedParams params = conv->pointwise;
  params.input_step = (int32_t)weights->cols;
  int8_t* const buffer = (int8_t*)scratch + block->strip_bytes;
  int8_t* const column = buffer + block->buffer_bytes;
  void* const rest = column + block->output_bytes;
  SparsesepDepthwiseLines part = {0, block->rolling, 1};
  for (; part.first < block->lines; part.first += part.count) {
    const int32_t left = block->lines - part.first;
    if (left < part.count) part.count = left;
    sparsesep_depthwise_lines(conv, block->shape, block->variant, &part, input,
                              buffer, scratch);
    if (!block->is_down) {
      const int32_t pixels = part.count * block->outputs;
      pointwise->run(weights, &params, buffer, pixels, output, rest);
      output += (size_t)pixels * weights->rows;
      continue;
    }
    const int8_t* line = buffer;
    for (int32_t n = part.count; n > 0; --n, output += weights->rows) {
      pointwise->run(weights, &params, line, block->outputs, column, rest);
      put_column(block, column, output);
      line += (size_t)block->outputs * weights->cols;
    }
  }
}

void sparsesep_run_depthwise_conv(const SparsesepDepthwiseConv* conv,
                                  const SparsesepConvShape* shape,
                                  const SparsesepDepthwiseVariant* variant,
                                  const int8_t* input, int8_t* output,
                                  void* scratch) {
  const Block block = make_block(conv, shape, variant);
  const SparsesepDepthwiseLines all = {0, block.lines, 0};
  const size_t inputs =
      (size_t)shape->input_height * (size_t)shape->input_width * conv->channels;
  const size_t outputs = (size_t)shape->output_height *
                         (size_t)shape->output_width *
                         sparsesep_depthwise_outputs(conv);
  for (int32_t b = shape->batch; b > 0; --b, input += inputs) {
    if (conv->kind == SPARSESEP_KIND_BLOCK) {
      run_block(&block, input, output, scratch);
    } else {
      sparsesep_depthwise_lines(conv, shape, variant, &all, input, output,
                                scratch);
    }
    output += outputs;
  }
}
