// Blobs split for threads: every part of a valid blob is a valid blob, and they
// hold all its rows and blocks. libFuzzer only: see libfuzzer.py.
#include "cpu/split_rows.h"
#include "fuzz_blobs.h"

enum { kMostParts = 8 };

static int run_parts(const uint8_t* options, size_t options_size,
                     const uint8_t* blob, size_t blob_size) {
  const SparsesepPackedHeader* weights = (const void*)blob;
  SparsesepPackedHeader* parts[kMostParts];
  uint32_t first_rows[kMostParts];
  uint32_t rows = 0, blocks = 0;
  if (sparsesep_validate_packed_weights(blob, blob_size) != SPARSESEP_OK ||
      weights->major != SPARSESEP_MAJOR_ROW) {
    return 0;
  }
  const int32_t most =
      1 + (options_size > 0 ? options[0] : next_random()) % kMostParts;
  const int32_t count = sparsesep_split_rows(weights, most, parts, first_rows);
  if (count < 1 || count > most) abort();
  for (int32_t i = 0; i < count; ++i) {
    if (first_rows[i] != rows) abort();
    if (sparsesep_validate_packed_weights(parts[i], parts[i]->bytes) !=
        SPARSESEP_OK) {
      abort();
    }
    rows += parts[i]->rows;
    blocks += parts[i]->blocks;
    free(parts[i]);
  }
  if (rows != weights->rows || blocks != weights->blocks) abort();
  return 1;
}

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  return fuzz_input(data, size, run_parts);
}
