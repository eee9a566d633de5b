// What the fuzzers share: they mutate a valid blob and run each result through
// the op core.
//
// Every mutant lives in memory of its exact size, so that under ASan and UBSan
// any read or write outside, and any undefined arithmetic, ends the process.
#ifndef SPARSESEP_TESTS_FUZZ_BLOBS_H_
#define SPARSESEP_TESTS_FUZZ_BLOBS_H_

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Whether a mutant is accepted: validates it and, if so, runs it.
typedef int (*RunMutant)(const uint8_t* blob, size_t size, const void* context);

static uint32_t state;

static uint32_t next_random(void) {  // xorshift32: the same on every machine
  state ^= state << 13;
  state ^= state >> 17;
  state ^= state << 5;
  return state;
}

// Loops over activations decide nothing that a fuzzer could look for, and take
// most of its time if it watches them.
#ifdef SPARSESEP_LIBFUZZER
#define UNWATCHED __attribute__((no_sanitize("coverage")))
#else
#define UNWATCHED
#endif

UNWATCHED static void fill_random(uint8_t* bytes, size_t count) {
  for (size_t i = 0; i < count; ++i) bytes[i] = (uint8_t)next_random();
}

static uint8_t* read_file(const char* path, size_t* size) {
  FILE* file = fopen(path, "rb");
  if (file == NULL) exit(2);
  fseek(file, 0, SEEK_END);
  *size = (size_t)ftell(file);
  rewind(file);
  uint8_t* data = malloc(*size);
  if (data == NULL || fread(data, 1, *size, file) != *size) exit(2);
  fclose(file);
  return data;
}

static void mutate(uint8_t* blob, size_t size, size_t header_size) {
  static const uint32_t words[] = {0,          1,      0x7fffffff, 0x80000000,
                                   0xffffffff, 0xffff, 0x10000,    64};
  for (uint32_t n = 1 + next_random() % 3; n > 0; --n) {
    // Half of the hits go to the header: it steers everything else.
    const size_t span = next_random() % 2 ? header_size : size;
    const size_t at = next_random() % span;
    switch (next_random() % 4) {
      case 0:
        blob[at] ^= (uint8_t)(1u << next_random() % 8);
        break;
      case 1:
        blob[at] = (uint8_t)next_random();
        break;
      case 2:
        blob[at] = (uint8_t)(blob[at] + (next_random() % 2 ? 1 : -1));
        break;
      default: {
        const uint32_t word = words[next_random() % 8];
        if (at / 4 * 4 + 4 <= size) memcpy(blob + at / 4 * 4, &word, 4);
      }
    }
  }
}

// Runs `mutations` mutants of `original` and prints how many were accepted and
// how many refused. Returns the exit status.
static int fuzz(const uint8_t* original, size_t size, size_t header_size,
                long mutations, uint32_t seed, RunMutant run,
                const void* context) {
  state = seed | 1u;
  long accepted = 0;
  for (long i = 0; i < mutations; ++i) {
    // One in eight is cut short: the header then claims more than there is.
    const size_t kept =
        next_random() % 8 == 0 ? next_random() % (size + 1) : size;
    uint8_t* blob = malloc(kept > 0 ? kept : 1);
    if (blob == NULL) return 2;
    memcpy(blob, original, kept);
    if (kept >= header_size) mutate(blob, kept, header_size);
    accepted += run(blob, kept, context);
    free(blob);
  }
  printf("accepted %ld refused %ld\n", accepted, mutations - accepted);
  return 0;
}

#ifdef SPARSESEP_LIBFUZZER
// Runs an input of libFuzzer: one byte with the size of the options, the
// options, and the blob, each in memory of its exact size.
static int fuzz_input(const uint8_t* data, size_t size,
                      int (*run_parts)(const uint8_t* options,
                                       size_t options_size, const uint8_t* blob,
                                       size_t blob_size)) {
  if (size == 0 || data[0] > size - 1) return -1;
  const size_t options_size = data[0], blob_size = size - 1 - options_size;
  uint8_t* options = malloc(options_size + 1);
  uint8_t* blob = malloc(blob_size > 0 ? blob_size : 1);
  if (options == NULL || blob == NULL) exit(2);
  memcpy(options, data + 1, options_size);
  memcpy(blob, data + 1 + options_size, blob_size);
  state = (uint32_t)size * 2654435761u | 1u;
  run_parts(options, options_size, blob, blob_size);
  free(options);
  free(blob);
  return 0;
}
#endif

#endif  // SPARSESEP_TESTS_FUZZ_BLOBS_H_
