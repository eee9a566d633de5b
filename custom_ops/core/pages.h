// Weights in pages of an external memory (paged_weights.h): what the operators
// that run them page by page share.
#ifndef SPARSESEP_PAGES_H_
#define SPARSESEP_PAGES_H_

#include "external_memory.h"
#include "port.h"
#include "sparsesep/paged_weights.h"

// A part of an operator's data.
typedef struct SparsesepPages {
  const SparsesepExternalMemory* memory;
  uint8_t is_paged;     // else the weights are in the model
  uint8_t was_checked;  // all pages, by an Eval
} SparsesepPages;

// Tells from the model whether the weights are a table of contents, which
// stands `head` bytes into the constant tensor, and notes it. What is wrong
// with them is for those to say who read them.
int sparsesep_pages_find(SparsesepPages* pages, const SparsesepHost* host,
                         size_t head);

// Reads all pages once, through the stack, and compares their checksums;
// SPARSESEP_FETCH_FAILED where there is no memory to read.
SparsesepStatus sparsesep_pages_compare(const SparsesepPages* pages,
                                        const SparsesepPagedHeader* table);

// The header of a blob as large as the layer, as far as the table tells.
SparsesepPackedHeader sparsesep_pages_header(const SparsesepPagedHeader* table);

// Bytes for the page that is run and, with `wait`, the one that is fetched
// meanwhile, each with room for `head` bytes before it.
uint64_t sparsesep_pages_bytes(const SparsesepPages* pages,
                               const SparsesepPagedHeader* table, size_t head);

// Runs one page, a valid blob behind `head` bytes that are the operator's, for
// the outputs that follow those of the page before.
typedef void (*SparsesepRunPage)(void* context, SparsesepPackedHeader* page);

// Fetches, checks and runs every page. `buffer` has sparsesep_pages_bytes().
SparsesepStatus sparsesep_pages_run(SparsesepPages* pages,
                                    const SparsesepPagedHeader* table,
                                    size_t head, uint8_t* buffer,
                                    SparsesepRunPage run, void* context);

// Bytes of an input or output.
static inline size_t sparsesep_pages_width(const SparsesepPagedHeader* table) {
  return table->value_type == SPARSESEP_VALUE_FLOAT32 ? sizeof(float) : 1;
}

// sparsesep_status_message() with the states of paged weights.
const char* sparsesep_paged_status_message(SparsesepStatus status);

// Returns `status`, and says why unless it is OK.
SparsesepStatus sparsesep_pages_report(const SparsesepHost* host,
                                       const char* op_name,
                                       SparsesepStatus status);

#endif  // SPARSESEP_PAGES_H_
