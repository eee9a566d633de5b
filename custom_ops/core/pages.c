#include "pages.h"

#include <string.h>

#include "sparsesep/compiler.h"

// Words of stack that prepare reads the external memory through.
#define CHUNK_WORDS 32

// One Eval under way.
typedef struct Run {
  const SparsesepExternalMemory* memory;
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

SPARSESEP_COLD
int sparsesep_pages_find(SparsesepPages* pages, const SparsesepHost* host,
                         size_t head) {
  SparsesepTensor table;
  uint32_t magic = 0;
  if (host->get_tensor(host, SPARSESEP_SLOT_WEIGHTS, &table) == SPARSESEP_OK &&
      table.type == SPARSESEP_TENSOR_UINT8 && table.data != NULL &&
      table.rank == 1 && table.dims[0] >= (int32_t)(head + sizeof(magic))) {
    memcpy(&magic, (const uint8_t*)table.data + head, sizeof(magic));
  }
  pages->was_checked = 0;
  pages->is_paged = magic == SPARSESEP_PAGED_MAGIC;
  return pages->is_paged;
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

SPARSESEP_COLD
SparsesepStatus sparsesep_pages_compare(const SparsesepPages* pages,
                                        const SparsesepPagedHeader* table) {
  const SparsesepExternalMemory* const memory = pages->memory;
  if (memory == NULL || memory->fetch == NULL) return SPARSESEP_FETCH_FAILED;
  const SparsesepPage* page = sparsesep_pages(table);
  uint32_t offset = table->offset;
  for (uint32_t n = table->pages; n > 0; --n, ++page) {
    const SparsesepStatus status = compare_page(memory, page, offset);
    if (status != SPARSESEP_OK) return status;
    offset += page->bytes;
  }
  return SPARSESEP_OK;
}

SPARSESEP_COLD
SparsesepPackedHeader sparsesep_pages_header(
    const SparsesepPagedHeader* table) {
  SparsesepPackedHeader header;
  memset(&header, 0, sizeof(header));
  memcpy(&header, table, offsetof(SparsesepPackedHeader, flags));
  header.rows = table->rows;
  header.cols = table->cols;
  return header;
}

SPARSESEP_COLD
uint64_t sparsesep_pages_bytes(const SparsesepPages* pages,
                               const SparsesepPagedHeader* table, size_t head) {
  return ((uint64_t)table->largest_page + head) << overlaps(pages->memory);
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
static SparsesepStatus check_page(const SparsesepPages* pages,
                                  const SparsesepPagedHeader* table,
                                  const SparsesepPage* page,
                                  const uint8_t* bytes) {
  const uint32_t checksum =
      sparsesep_page_checksum(0, (const uint32_t*)bytes, page->bytes);
  if (checksum != page->checksum) return SPARSESEP_BAD_PAGE;
  if (pages->was_checked) return SPARSESEP_OK;
  return sparsesep_validate_page(table, page,
                                 (const SparsesepPackedHeader*)bytes);
}

SPARSESEP_COLD
SparsesepStatus sparsesep_pages_run(SparsesepPages* pages,
                                    const SparsesepPagedHeader* table,
                                    size_t head, uint8_t* buffer,
                                    SparsesepRunPage run_page, void* context) {
  const SparsesepPage* page = sparsesep_pages(table);
  const SparsesepPage* const end = page + table->pages;
  uint8_t* const first = buffer + head;
  Run run = {pages->memory, page, table->pages, table->offset, 0, first, first};
  if (overlaps(run.memory)) run.here = first + table->largest_page + head;
  SparsesepStatus status = begin_next(&run);
  for (; page < end && status == SPARSESEP_OK; ++page) {
    status = end_next(&run);
    if (status == SPARSESEP_OK && overlaps(run.memory)) {
      status = begin_next(&run);
    }
    if (status == SPARSESEP_OK) {
      status = check_page(pages, table, page, run.here);
    }
    if (status != SPARSESEP_OK) break;
    run_page(context, (SparsesepPackedHeader*)run.here);
    if (!overlaps(run.memory)) status = begin_next(&run);
  }
  // A transfer must not go on into memory that is in other use by then.
  if (run.is_fetching) end_fetch(run.memory);
  if (status == SPARSESEP_OK) pages->was_checked = run.memory->is_trusted;
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
SparsesepStatus sparsesep_pages_report(const SparsesepHost* host,
                                       const char* op_name,
                                       SparsesepStatus status) {
  if (status != SPARSESEP_OK) {
    host->report(host, op_name, sparsesep_paged_status_message(status));
  }
  return status;
}
