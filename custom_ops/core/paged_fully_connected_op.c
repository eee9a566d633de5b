#include "paged_fully_connected_op.h"

#include "fully_connected_fit.h"
#include "op_names.h"
#include "operator.h"
#include "pages.h"
#include "sparsesep/compiler.h"

typedef struct PagedOp {
  SparsesepFullyConnectedOp* op;
  SparsesepPages pages;
} PagedOp;

// One Eval under way.
typedef struct Run {
  const SparsesepFullyConnectedOp* op;
  const uint8_t* input;
  uint8_t* output;  // of the first vector, by the next page
  size_t width;
  uint32_t rows;  // of the layer
  void* scratch;
} Run;

// The most that a kernel asks for on a page.
SPARSESEP_COLD
static uint32_t kernel_bytes(const SparsesepFullyConnectedOp* op,
                             const SparsesepPagedHeader* table,
                             SparsesepPackedHeader* blob) {
  const SparsesepPage* page = sparsesep_pages(table);
  uint32_t most = 0;
  for (uint32_t n = table->pages; n > 0; --n, ++page) {
    blob->rows = page->rows;
    const uint32_t bytes = op->variant->scratch_bytes(blob, 1);
    if (bytes > most) most = bytes;
  }
  return most;
}

SPARSESEP_COLD
static SparsesepStatus prepare(const SparsesepHost* host, PagedOp* paged) {
  const void* weights = NULL;
  size_t bytes = 0;
  SparsesepFullyConnectedOp* const op = paged->op;
  SparsesepStatus status = op->init_status;
  if (status == SPARSESEP_OK) {
    status = sparsesep_get_blob(host, &weights, &bytes);
  }
  const SparsesepPagedHeader* const table = weights;
  if (status == SPARSESEP_OK) {
    status = sparsesep_validate_paged_weights(table, bytes);
  }
  if (status != SPARSESEP_OK) return status;

  op->weights = weights;  // of a paged layer, its table
  SparsesepPackedHeader blob = sparsesep_pages_header(table);
  status = sparsesep_fully_connected_fit(host, op, &blob);
  if (status == SPARSESEP_OK) {
    status = sparsesep_pages_compare(&paged->pages, table);
  }
  if (status != SPARSESEP_OK) return status;
  return sparsesep_reserve_scratch(
      host,
      sparsesep_pages_bytes(&paged->pages, table, 0) +
          kernel_bytes(op, table, &blob),
      &op->scratch_index);
}

// Multiplies every vector by a page.
SPARSESEP_COLD
static void run_page(void* context, SparsesepPackedHeader* page) {
  Run* const run = context;
  const uint8_t* input = run->input;
  uint8_t* output = run->output;
  for (int32_t n = run->op->batch; n > 0; --n) {
    run->op->variant->run(page, &run->op->params, input, 1, output,
                          run->scratch);
    input += (size_t)run->op->params.input_step * run->width;
    output += run->rows * run->width;
  }
  run->output += page->rows * run->width;
}

SPARSESEP_COLD
static SparsesepStatus eval(const SparsesepHost* host, PagedOp* paged) {
  SparsesepActivations activations;
  sparsesep_get_activations(host, &activations);
  const SparsesepPagedHeader* const table = (const void*)paged->op->weights;
  uint8_t* const buffer = sparsesep_scratch(host, paged->op->scratch_index);
  Run run = {paged->op,
             activations.input.data,
             activations.output.data,
             sparsesep_pages_width(table),
             table->rows,
             buffer + sparsesep_pages_bytes(&paged->pages, table, 0)};
  return sparsesep_pages_run(&paged->pages, table, 0, buffer, run_page, &run);
}

SPARSESEP_COLD
static SparsesepStatus report(const SparsesepHost* host,
                              SparsesepStatus status) {
  return sparsesep_pages_report(host, SPARSESEP_OP_SPARSE_FULLY_CONNECTED,
                                status);
}

SPARSESEP_COLD
void* sparsesep_paged_fully_connected_init(
    const SparsesepHost* host, const void* options, size_t options_bytes,
    const SparsesepExternalMemory* memory) {
  void* const op = sparsesep_fully_connected_init(host, options, options_bytes);
  if (op == NULL) return NULL;
  PagedOp* const paged = sparsesep_allocate_op(host, sizeof(PagedOp));
  if (paged == NULL) return NULL;
  paged->op = op;
  paged->pages.memory = memory;
  return paged;
}

SPARSESEP_COLD
SparsesepStatus sparsesep_paged_fully_connected_prepare(
    const SparsesepHost* host, void* op_data) {
  PagedOp* const paged = op_data;
  if (paged == NULL) return report(host, SPARSESEP_OUT_OF_MEMORY);
  return sparsesep_pages_find(&paged->pages, host, 0)
             ? report(host, prepare(host, paged))
             : sparsesep_fully_connected_prepare(host, paged->op);
}

SPARSESEP_COLD
SparsesepStatus sparsesep_paged_fully_connected_eval(const SparsesepHost* host,
                                                     void* op_data) {
  PagedOp* const paged = op_data;
  return paged->pages.is_paged
             ? report(host, eval(host, paged))
             : sparsesep_fully_connected_eval(host, paged->op);
}
