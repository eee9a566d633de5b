#include "paged_fully_connected_op.h"

#include <string.h>

#include "fully_connected_fit.h"
#include "op_names.h"
#include "operator.h"
#include "sparsesep/compiler.h"
#include "sparsesep/paged_weights.h"

// Words of stack that prepare reads the external memory through.
#define CHUNK_WORDS 32

typedef struct PagedOp {
  SparsesepFullyConnectedOp* op;
  const SparsesepExternalMemory* memory;
  uint8_t is_paged;
  uint8_t was_checked;  // all pages, by an Eval
} PagedOp;

// One Eval under way.
typedef struct Run {
  const SparsesepExternalMemory* memory;
  const SparsesepPagedHeader* table;
  const SparsesepPage* next;  // to be fetched
  uint32_t left;              // pages to be fetched
  uint32_t offset;            // of the next one
  int is_fetching;
  uint8_t* here;   // the page that was fetched last
  uint8_t* there;  // where the next one goes; the same without `wait`
} Run;

static int overlaps(const SparsesepExternalMemory* memory) {
  return memory->wait != NULL;
}

static SparsesepStatus begin_fetch(const SparsesepExternalMemory* memory,
                                   uint32_t offset, uint32_t bytes, void* to) {
  return memory->fetch(memory->context, offset, bytes, to)
             ? SPARSESEP_OK
             : SPARSESEP_FETCH_FAILED;
}

static SparsesepStatus end_fetch(const SparsesepExternalMemory* memory) {
  return !overlaps(memory) || memory->wait(memory->context)
             ? SPARSESEP_OK
             : SPARSESEP_FETCH_FAILED;
}

// Returns whether the weights are a table of contents; what is wrong with them
// is for those to say who read them.
SPARSESEP_COLD
static int is_paged(const SparsesepHost* host) {
  SparsesepTensor table;
  uint32_t magic = 0;
  if (host->get_tensor(host, SPARSESEP_SLOT_WEIGHTS, &table) == SPARSESEP_OK &&
      table.type == SPARSESEP_TENSOR_UINT8 && table.data != NULL &&
      table.rank == 1 && table.dims[0] >= (int32_t)sizeof(magic)) {
    memcpy(&magic, table.data, sizeof(magic));
  }
  return magic == SPARSESEP_PAGED_MAGIC;
}

// Reads a page through the stack and compares its checksum.
SPARSESEP_COLD
static SparsesepStatus compare_page(const SparsesepExternalMemory* memory,
                                    const SparsesepPage* page,
                                    uint32_t offset) {
  uint32_t words[CHUNK_WORDS];
  uint32_t checksum = 0;
  uint32_t left = page->bytes;
  while (left > 0) {
    const uint32_t bytes = left < sizeof(words) ? left : sizeof(words);
    SparsesepStatus status = begin_fetch(memory, offset, bytes, words);
    if (status == SPARSESEP_OK) status = end_fetch(memory);
    if (status != SPARSESEP_OK) return status;
    checksum = sparsesep_page_checksum(checksum, words, bytes);
    offset += bytes;
    left -= bytes;
  }
  return checksum == page->checksum ? SPARSESEP_OK : SPARSESEP_BAD_PAGE;
}

// All pages: also finds the most scratch that a kernel asks for.
SPARSESEP_COLD
static SparsesepStatus compare_pages(const PagedOp* paged,
                                     const SparsesepPagedHeader* table,
                                     SparsesepPackedHeader* blob,
                                     uint32_t* scratch) {
  const SparsesepPage* page = sparsesep_pages(table);
  uint32_t offset = table->offset;
  *scratch = 0;
  for (uint32_t n = table->pages; n > 0; --n, ++page) {
    const SparsesepStatus status = compare_page(paged->memory, page, offset);
    if (status != SPARSESEP_OK) return status;
    offset += page->bytes;
    blob->rows = page->rows;
    const uint32_t bytes = paged->op->variant->scratch_bytes(blob, 1);
    if (bytes > *scratch) *scratch = bytes;
  }
  return SPARSESEP_OK;
}

SPARSESEP_COLD
static SparsesepStatus prepare(const SparsesepHost* host, PagedOp* paged) {
  SparsesepTensor tensor;
  SparsesepFullyConnectedOp* const op = paged->op;
  if (op->init_status != SPARSESEP_OK) return op->init_status;
  host->get_tensor(host, SPARSESEP_SLOT_WEIGHTS, &tensor);
  const SparsesepPagedHeader* const table = tensor.data;
  if ((uintptr_t)table % sizeof(uint32_t) != 0) return SPARSESEP_UNALIGNED;
  if (paged->memory == NULL || paged->memory->fetch == NULL) {
    return SPARSESEP_FETCH_FAILED;
  }
  SparsesepStatus status =
      sparsesep_validate_paged_weights(table, (size_t)tensor.dims[0]);
  if (status != SPARSESEP_OK) return status;

  op->weights = tensor.data;  // of a paged layer, its table
  // The layer as if it were one blob.
  SparsesepPackedHeader blob;
  memset(&blob, 0, sizeof(blob));
  memcpy(&blob, table, offsetof(SparsesepPackedHeader, flags));
  blob.rows = table->rows;
  blob.cols = table->cols;
  status = sparsesep_fully_connected_fit(host, op, &blob);
  if (status != SPARSESEP_OK) return status;

  uint32_t scratch;
  status = compare_pages(paged, table, &blob, &scratch);
  if (status != SPARSESEP_OK) return status;
  return sparsesep_reserve_scratch(
      host,
      ((uint64_t)table->largest_page << overlaps(paged->memory)) + scratch,
      &op->scratch_index);
}

// Begins to fetch the next page, if there is one.
SPARSESEP_COLD
static SparsesepStatus begin_next(Run* run) {
  if (run->left == 0) return SPARSESEP_OK;
  const uint32_t bytes = run->next->bytes;
  const SparsesepStatus status =
      begin_fetch(run->memory, run->offset, bytes, run->there);
  run->is_fetching = status == SPARSESEP_OK;
  run->offset += bytes;
  --run->left;
  ++run->next;
  return status;
}

// Has the page that was begun in `here`.
SPARSESEP_COLD
static SparsesepStatus end_next(Run* run) {
  uint8_t* const fetched = run->there;
  run->there = run->here;
  run->here = fetched;
  run->is_fetching = 0;
  return end_fetch(run->memory);
}

SPARSESEP_COLD
static SparsesepStatus check_page(const PagedOp* paged, const Run* run,
                                  const SparsesepPage* page) {
  const uint32_t checksum =
      sparsesep_page_checksum(0, (const uint32_t*)run->here, page->bytes);
  if (checksum != page->checksum) return SPARSESEP_BAD_PAGE;
  if (paged->was_checked) return SPARSESEP_OK;
  return sparsesep_validate_page(run->table, page,
                                 (const SparsesepPackedHeader*)run->here);
}

// Multiplies every vector by the page that was fetched, for outputs from
// `output` on in the first one.
SPARSESEP_COLD
static void run_page(const SparsesepFullyConnectedOp* op, const Run* run,
                     size_t width, const uint8_t* input, uint8_t* output,
                     void* scratch) {
  for (int32_t n = op->batch; n > 0; --n) {
    op->variant->run((const SparsesepPackedHeader*)run->here, &op->params,
                     input, 1, output, scratch);
    input += (size_t)op->params.input_step * width;
    output += run->table->rows * width;
  }
}

SPARSESEP_COLD
static SparsesepStatus run_pages(const PagedOp* paged, Run* run,
                                 const uint8_t* input, uint8_t* output,
                                 void* scratch) {
  const size_t width =
      run->table->value_type == SPARSESEP_VALUE_FLOAT32 ? sizeof(float) : 1;
  const SparsesepPage* page = run->next;
  const SparsesepPage* const end = page + run->left;
  SparsesepStatus status = begin_next(run);
  for (; page < end && status == SPARSESEP_OK; ++page) {
    status = end_next(run);
    if (status == SPARSESEP_OK && overlaps(run->memory)) {
      status = begin_next(run);
    }
    if (status == SPARSESEP_OK) status = check_page(paged, run, page);
    if (status != SPARSESEP_OK) break;
    run_page(paged->op, run, width, input, output, scratch);
    output += page->rows * width;
    if (!overlaps(run->memory)) status = begin_next(run);
  }
  // A transfer must not go on into memory that is in other use by then.
  if (run->is_fetching) end_fetch(run->memory);
  return status;
}

SPARSESEP_COLD
static SparsesepStatus eval(const SparsesepHost* host, PagedOp* paged) {
  SparsesepActivations activations;
  sparsesep_get_activations(host, &activations);
  const SparsesepPagedHeader* const table = (const void*)paged->op->weights;
  uint8_t* const page = sparsesep_scratch(host, paged->op->scratch_index);
  uint8_t* const other =
      overlaps(paged->memory) ? page + table->largest_page : page;

  Run run = {paged->memory, table,         sparsesep_pages(table),
             table->pages,  table->offset, 0,
             other,         page};
  const SparsesepStatus status =
      run_pages(paged, &run, activations.input.data, activations.output.data,
                other + table->largest_page);
  if (status == SPARSESEP_OK) paged->was_checked = paged->memory->is_trusted;
  return status;
}

SPARSESEP_COLD
const char* sparsesep_paged_status_message(SparsesepStatus status) {
  if (status == SPARSESEP_FETCH_FAILED) return "cannot read external memory";
  if (status == SPARSESEP_BAD_PAGE) {
    return "external memory holds other weights than the model was made with";
  }
  return sparsesep_status_message(status);
}

SPARSESEP_COLD
static SparsesepStatus report(const SparsesepHost* host,
                              SparsesepStatus status) {
  if (status != SPARSESEP_OK) {
    host->report(host, SPARSESEP_OP_SPARSE_FULLY_CONNECTED,
                 sparsesep_paged_status_message(status));
  }
  return status;
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
  paged->memory = memory;
  return paged;
}

SPARSESEP_COLD
SparsesepStatus sparsesep_paged_fully_connected_prepare(
    const SparsesepHost* host, void* op_data) {
  PagedOp* const paged = op_data;
  if (paged == NULL) return report(host, SPARSESEP_OUT_OF_MEMORY);
  paged->is_paged = (uint8_t)is_paged(host);
  paged->was_checked = 0;
  return paged->is_paged ? report(host, prepare(host, paged))
                         : sparsesep_fully_connected_prepare(host, paged->op);
}

SPARSESEP_COLD
SparsesepStatus sparsesep_paged_fully_connected_eval(const SparsesepHost* host,
                                                     void* op_data) {
  PagedOp* const paged = op_data;
  return paged->is_paged ? report(host, eval(host, paged))
                         : sparsesep_fully_connected_eval(host, paged->op);
}
