// Mutates a valid blob and runs each result through the op core.
//
//   fuzz_packed_weights BLOB OPTIONS MUTATIONS SEED
//
// Every mutant lives in memory of its exact size, so that under ASan and UBSan
// any read or write outside, and any undefined arithmetic, ends the process.
// Prints how many mutants were accepted and how many refused.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/host_port.h"
#include "sparsesep/packed_weights.h"

static uint32_t state;

static uint32_t next_random(void) {  // xorshift32: the same on every machine
  state ^= state << 13;
  state ^= state >> 17;
  state ^= state << 5;
  return state;
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

static void mutate(uint8_t* blob, size_t size) {
  static const uint32_t words[] = {0,          1,      0x7fffffff, 0x80000000,
                                   0xffffffff, 0xffff, 0x10000,    64};
  for (uint32_t n = 1 + next_random() % 3; n > 0; --n) {
    // Half of the hits go to the header: it steers everything else.
    const size_t span =
        next_random() % 2 ? sizeof(SparsesepPackedHeader) : size;
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

static int run(const uint8_t* blob, size_t size, const uint8_t* options,
               size_t options_size) {
  SparsesepPackedHeader header;
  if (sparsesep_host_validate(blob, size) != SPARSESEP_OK) return 0;
  memcpy(&header, blob, sizeof(header));
  const int32_t batch = 1 + (int32_t)(next_random() % 5);
  const int is_float = header.value_type == SPARSESEP_VALUE_FLOAT32;
  const size_t width = is_float ? sizeof(float) : 1;
  const size_t inputs = (size_t)batch * header.cols * width;
  const size_t outputs = (size_t)batch * header.rows * width;
  uint8_t* input = malloc(inputs);
  uint8_t* output = malloc(outputs);
  if (input == NULL || output == NULL) exit(2);
  for (size_t i = 0; i < inputs; ++i) input[i] = (uint8_t)next_random();
  const SparsesepStatus status = sparsesep_host_sparse_fully_connected(
      options, options_size, blob, size,
      is_float ? SPARSESEP_TENSOR_FLOAT32 : SPARSESEP_TENSOR_INT8, input,
      (int32_t)header.cols, output, (int32_t)header.rows, batch);
  free(input);
  free(output);
  return status == SPARSESEP_OK;
}

int main(int argc, char** argv) {
  if (argc != 5) return 2;
  size_t size;
  size_t options_size;
  uint8_t* original = read_file(argv[1], &size);
  uint8_t* options = read_file(argv[2], &options_size);
  const long mutations = atol(argv[3]);
  state = (uint32_t)atol(argv[4]) | 1u;

  long accepted = 0;
  for (long i = 0; i < mutations; ++i) {
    // One in eight is cut short: the header then claims more than there is.
    const size_t kept =
        next_random() % 8 == 0 ? next_random() % (size + 1) : size;
    uint8_t* blob = malloc(kept > 0 ? kept : 1);
    if (blob == NULL) return 2;
    memcpy(blob, original, kept);
    if (kept >= sizeof(SparsesepPackedHeader)) mutate(blob, kept);
    accepted += run(blob, kept, options, options_size);
    free(blob);
  }
  printf("accepted %ld refused %ld\n", accepted, mutations - accepted);
  free(original);
  free(options);
  return 0;
}
