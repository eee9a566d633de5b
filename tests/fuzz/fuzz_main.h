// The entry points of a fuzzer of blobs: on its own, and for libFuzzer.
// Included last, by a file that defines HEADER_BYTES and the function `run`.
#ifndef SPARSESEP_TESTS_FUZZ_MAIN_H_
#define SPARSESEP_TESTS_FUZZ_MAIN_H_

#include "fuzz_blobs.h"

#ifdef SPARSESEP_LIBFUZZER
static int run_parts(const uint8_t* options, size_t options_size,
                     const uint8_t* blob, size_t blob_size) {
  (void)options;
  (void)options_size;
  return run(blob, blob_size, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  return fuzz_input(data, size, run_parts);
}
#else
// BLOB MUTATIONS SEED
int main(int argc, char** argv) {
  if (argc != 4) return 2;
  size_t size;
  uint8_t* blob = read_file(argv[1], &size);
  const int status = fuzz(blob, size, HEADER_BYTES, atol(argv[2]),
                          (uint32_t)atol(argv[3]), run, NULL);
  free(blob);
  return status;
}
#endif

#endif  // SPARSESEP_TESTS_FUZZ_MAIN_H_
