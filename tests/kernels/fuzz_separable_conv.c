// Mutates a valid blob and runs each result through the op core.
//
//   fuzz_separable_conv BLOB MUTATIONS SEED
//
// Every mutant lives in memory of its exact size, so that under ASan and UBSan
// any read or write outside, and any undefined arithmetic, ends the process.
// Prints how many mutants were accepted and how many refused.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/host_port.h"
#include "sparsesep/separable_conv.h"

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
        next_random() % 2 ? sizeof(SparsesepSeparableConv) : size;
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

static int run(const uint8_t* blob, size_t size) {
  SparsesepSeparableConv header;
  if (sparsesep_host_validate_separable_conv(blob, size) != SPARSESEP_OK) {
    return 0;
  }
  memcpy(&header, blob, sizeof(header));
  SparsesepConvShape shape = {1 + (int32_t)(next_random() % 2),
                              1 + (int32_t)(next_random() % 12),
                              1 + (int32_t)(next_random() % 12),
                              0,
                              0,
                              0,
                              0};
  // The blob itself is fine; whether an image gives outputs is another matter.
  if (sparsesep_separable_conv_shape(&header, &shape) != SPARSESEP_OK) return 1;
  const int is_float = header.value_type == SPARSESEP_SEPARABLE_FLOAT32;
  const size_t width = is_float ? sizeof(float) : 1;
  const int32_t input_shape[] = {shape.batch, shape.input_height,
                                 shape.input_width, header.input_channels};
  const int32_t output_shape[] = {shape.batch, shape.output_height,
                                  shape.output_width, header.output_channels};
  size_t inputs = width;
  size_t outputs = width;
  for (int i = 0; i < 4; ++i) {
    inputs *= (size_t)input_shape[i];
    outputs *= (size_t)output_shape[i];
  }
  uint8_t* input = malloc(inputs);
  uint8_t* output = malloc(outputs);
  if (input == NULL || output == NULL) exit(2);
  for (size_t i = 0; i < inputs; ++i) input[i] = (uint8_t)next_random();
  const SparsesepStatus status = sparsesep_host_separable_conv_2d(
      blob, size, is_float ? SPARSESEP_TENSOR_FLOAT32 : SPARSESEP_TENSOR_INT8,
      input, input_shape, output, output_shape);
  free(input);
  free(output);
  // Everything fits, so nothing but memory can be missing.
  if (status != SPARSESEP_OK && status != SPARSESEP_OUT_OF_MEMORY) exit(3);
  return 1;
}

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  size_t size;
  uint8_t* original = read_file(argv[1], &size);
  const long mutations = atol(argv[2]);
  state = (uint32_t)atol(argv[3]) | 1u;

  long accepted = 0;
  for (long i = 0; i < mutations; ++i) {
    // One in eight is cut short: the header then claims more than there is.
    const size_t kept =
        next_random() % 8 == 0 ? next_random() % (size + 1) : size;
    uint8_t* blob = malloc(kept > 0 ? kept : 1);
    if (blob == NULL) return 2;
    memcpy(blob, original, kept);
    if (kept >= sizeof(SparsesepSeparableConv)) mutate(blob, kept);
    accepted += run(blob, kept);
    free(blob);
  }
  printf("accepted %ld refused %ld\n", accepted, mutations - accepted);
  free(original);
  return 0;
}
