// custom_options and shapes of SPARSE_FULLY_CONNECTED against a blob that stays
// as it is. libFuzzer only: see libfuzzer.py.
//
// An input is two bytes that choose the shapes, one with the size of the
// options, the options, and the blob.
#include "../kernels/run_fully_connected.h"
#include "fuzz_blobs.h"
#include "sparsesep/packed_weights.h"

#define PREFIX 3

size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);

static uint8_t* copy(const uint8_t* data, size_t size) {
  uint8_t* bytes = malloc(size > 0 ? size : 1);
  if (bytes == NULL) exit(2);
  memcpy(bytes, data, size);
  return bytes;
}

// Changes all but the blob.
size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size,
                               unsigned int seed) {
  (void)seed;
  if (size < PREFIX || data[2] > size - PREFIX) {
    return LLVMFuzzerMutate(data, size, max_size);
  }
  const size_t head = PREFIX + (size_t)data[2], blob_size = size - head;
  uint8_t part[PREFIX + 255];
  uint8_t* blob = copy(data + head, blob_size);
  memcpy(part, data, head);
  size_t kept = LLVMFuzzerMutate(part, head, sizeof(part));
  for (; kept < PREFIX; ++kept) part[kept] = 0;
  if (kept + blob_size > max_size) kept = head;
  part[2] = (uint8_t)(kept - PREFIX);
  memcpy(data, part, kept);
  memcpy(data + kept, blob, blob_size);
  free(blob);
  return kept + blob_size;
}

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  SparsesepPackedHeader header;
  if (size < PREFIX || data[2] > size - PREFIX) return -1;
  const size_t options_size = data[2];
  const size_t blob_size = size - PREFIX - options_size;
  uint8_t* options = copy(data + PREFIX, options_size);
  uint8_t* blob = copy(data + PREFIX + options_size, blob_size);
  if (sparsesep_validate_packed_weights(blob, blob_size) == SPARSESEP_OK) {
    memcpy(&header, blob, sizeof(header));
    const int is_float = header.value_type == SPARSESEP_VALUE_FLOAT32;
    const size_t width = is_float ? sizeof(float) : 1;
    // Windows overlap: fewer elements than batch * cols can be right.
    const int32_t elements = (int32_t)header.cols + data[0];
    const int32_t batch = 1 + data[1] % 64;
    uint8_t* input = calloc((size_t)elements, width);
    uint8_t* output = malloc((size_t)batch * header.rows * width);
    if (input == NULL || output == NULL) exit(2);
    run_fully_connected(options, options_size, blob, blob_size, is_float, input,
                        elements, output, (int32_t)header.rows, batch, NULL);
    free(input);
    free(output);
  }
  free(options);
  free(blob);
  return 0;
}
