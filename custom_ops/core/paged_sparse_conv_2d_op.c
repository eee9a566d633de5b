#include "paged_sparse_conv_2d_op.h"

#include "op_names.h"
#include "operator.h"
#include "pages.h"
#include "sparse_conv/pixels.h"
#include "sparse_fully_connected/variants.h"
#include "sparsesep/compiler.h"

// Of the convolution, before its table in the model, and before each page.
#define HEAD sizeof(SparsesepSparseConv)

typedef struct PagedOp {
  SparsesepConvOp* op;
  SparsesepPages pages;
} PagedOp;

// One Eval under way.
typedef struct Run {
  const SparsesepConvOp* op;
  const uint8_t* input;
  uint8_t* output;  // of the first pixel, by the next page
  size_t pixel;     // bytes of an output pixel, all pages
  size_t width;     // bytes of one output
  uint8_t* line;    // outputs of a page
  void* scratch;
} Run;

static const SparsesepPagedHeader* table_of(const void* blob) {
  return (const void*)((const uint8_t*)blob + HEAD);
}

SPARSESEP_COLD
static SparsesepStatus describe(const void* blob, SparsesepConvShape* shape,
                                SparsesepConvTensors* tensors) {
  const SparsesepSparseConv* conv = blob;
  const SparsesepPagedHeader* table = table_of(blob);
  tensors->input_channels = conv->channels;
  tensors->output_channels = table->rows;
  tensors->is_float = table->value_type == SPARSESEP_VALUE_FLOAT32;
  if (SPARSESEP_LINKS_RESIDUALS) {
    tensors->has_residual = sparsesep_has_residual(conv);
  }
  return sparsesep_sparse_conv_shape(conv, shape);
}

SPARSESEP_COLD
static const void* select(const void* blob) {
  const SparsesepPackedHeader header = sparsesep_pages_header(table_of(blob));
  return sparsesep_select_fully_connected(&header);
}

// It also depends on the memory: prepare() reserves it.
SPARSESEP_COLD
static uint64_t no_scratch(const void* blob, const SparsesepConvShape* shape,
                           const void* variant) {
  (void)blob;
  (void)shape;
  (void)variant;
  return 0;
}

// The strip and what the kernel asks for, the most of all pages.
SPARSESEP_COLD
static uint64_t strip_bytes(const SparsesepConvOp* op) {
  const SparsesepPagedHeader* const table = table_of(op->blob);
  struct {
    SparsesepSparseConv conv;
    SparsesepPackedHeader weights;
  } blob = {*(const SparsesepSparseConv*)op->blob,
            sparsesep_pages_header(table)};
  const SparsesepPage* page = sparsesep_pages(table);
  uint64_t most = 0;
  for (uint32_t n = table->pages; n > 0; --n, ++page) {
    blob.weights.rows = page->rows;
    const uint64_t bytes = sparsesep_sparse_conv_scratch_bytes(
        &blob.conv, &op->shape, op->variant);
    if (bytes > most) most = bytes;
  }
  return most;
}

// Outputs of any page for one line of pixels, rounded up.
SPARSESEP_COLD
static uint64_t line_bytes(const SparsesepConvOp* op) {
  const SparsesepPagedHeader* const table = table_of(op->blob);
  const SparsesepPage* page = sparsesep_pages(table);
  uint32_t rows = 0;
  for (uint32_t n = table->pages; n > 0; --n, ++page) {
    if (page->rows > rows) rows = page->rows;
  }
  const uint64_t outputs = (uint64_t)op->shape.output_width * rows;
  return (outputs * sparsesep_pages_width(table) + 15) & ~(uint64_t)15;
}

SPARSESEP_COLD
static SparsesepStatus reserve(const SparsesepHost* host, PagedOp* paged) {
  SparsesepConvOp* const op = paged->op;
  const SparsesepPagedHeader* const table = table_of(op->blob);
  const SparsesepStatus status = sparsesep_pages_compare(&paged->pages, table);
  if (status != SPARSESEP_OK) return status;
  return sparsesep_reserve_scratch(
      host,
      sparsesep_pages_bytes(&paged->pages, table, HEAD) + line_bytes(op) +
          strip_bytes(op),
      &op->scratch_index);
}

// One line of pixels after the other, as if the page were a convolution of its
// own.
SPARSESEP_COLD
static void run_page(void* context, SparsesepPackedHeader* page) {
  Run* const run = context;
  const SparsesepConvShape* const shape = &run->op->shape;
  SparsesepSparseConv* const conv = (SparsesepSparseConv*)(void*)page - 1;
  *conv = *(const SparsesepSparseConv*)run->op->blob;
  const uint32_t bytes = page->rows * (uint32_t)run->width;
  const size_t image = (size_t)shape->input_height *
                       (size_t)shape->input_width * conv->channels * run->width;
  const uint8_t* input = run->input;
  uint8_t* output = run->output;
  const SparsesepPixels pixels = {
      bytes, (uint32_t)run->pixel, bytes,
      (((uintptr_t)output | run->pixel | bytes) & 3) == 0};
  SparsesepConvShape line = *shape;
  line.batch = 1;
  line.output_height = 1;
  for (int32_t n = shape->batch; n > 0; --n, input += image) {
    line.pad_top = shape->pad_top;
    for (int32_t y = shape->output_height; y > 0; --y) {
      sparsesep_run_sparse_conv(conv, &line, run->op->variant, input, run->line,
                                run->scratch);
      sparsesep_copy_pixels(&pixels, output, run->line, shape->output_width);
      output += (size_t)shape->output_width * run->pixel;
      line.pad_top -= conv->stride_height;
    }
  }
  run->output += bytes;
}

SPARSESEP_COLD
static SparsesepStatus eval(const SparsesepHost* host, PagedOp* paged) {
  SparsesepActivations activations;
  sparsesep_get_activations(host, &activations);
  const SparsesepConvOp* const op = paged->op;
  const SparsesepPagedHeader* const table = table_of(op->blob);
  const size_t width = sparsesep_pages_width(table);
  uint8_t* const buffer = sparsesep_scratch(host, op->scratch_index);
  uint8_t* const line =
      buffer + sparsesep_pages_bytes(&paged->pages, table, HEAD);
  Run run = {op,
             activations.input.data,
             activations.output.data,
             table->rows * width,
             width,
             line,
             line + line_bytes(op)};
  const SparsesepStatus status =
      sparsesep_pages_run(&paged->pages, table, HEAD, buffer, run_page, &run);
  if (SPARSESEP_LINKS_RESIDUALS && status == SPARSESEP_OK &&
      sparsesep_has_residual(op->blob)) {
    sparsesep_add_residual_of(host, op, table->rows, activations.output.data,
                              run.scratch);
  }
  return status;
}

SPARSESEP_COLD
static SparsesepStatus report(const SparsesepHost* host,
                              SparsesepStatus status) {
  return sparsesep_pages_report(host, SPARSESEP_OP_SPARSE_CONV_2D, status);
}

SPARSESEP_COLD
void* sparsesep_paged_sparse_conv_init(const SparsesepHost* host,
                                       const void* options,
                                       size_t options_bytes,
                                       const SparsesepExternalMemory* memory) {
  void* const op = sparsesep_sparse_conv_init(host, options, options_bytes);
  if (op == NULL) return NULL;
  PagedOp* const paged = sparsesep_allocate_op(host, sizeof(PagedOp));
  if (paged == NULL) return NULL;
  paged->op = op;
  paged->pages.memory = memory;
  return paged;
}

SPARSESEP_COLD
SparsesepStatus sparsesep_paged_sparse_conv_prepare(const SparsesepHost* host,
                                                    void* op_data) {
  static const SparsesepConvKind kind = {SPARSESEP_OP_SPARSE_CONV_2D,
                                         sparsesep_validate_paged_sparse_conv,
                                         describe, select, no_scratch};
  PagedOp* const paged = op_data;
  if (paged == NULL) return report(host, SPARSESEP_OUT_OF_MEMORY);
  if (!sparsesep_pages_find(&paged->pages, host, HEAD)) {
    return sparsesep_sparse_conv_prepare(host, paged->op);
  }
  const SparsesepStatus status = sparsesep_conv_prepare(host, paged->op, &kind);
  return status == SPARSESEP_OK ? report(host, reserve(host, paged)) : status;
}

SPARSESEP_COLD
SparsesepStatus sparsesep_paged_sparse_conv_eval(const SparsesepHost* host,
                                                 void* op_data) {
  PagedOp* const paged = op_data;
  return paged->pages.is_paged ? report(host, eval(host, paged))
                               : sparsesep_sparse_conv_eval(host, paged->op);
}
