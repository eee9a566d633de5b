// Mutated blobs of SPARSE_FULLY_CONNECTED: see fuzz_blobs.h.
//
//   fuzz_packed_weights BLOB OPTIONS MUTATIONS SEED
#include "../kernels/run_fully_connected.h"
#include "fuzz_blobs.h"
#include "sparsesep/packed_weights.h"

typedef struct {
  const uint8_t* bytes;
  size_t size;
} Options;

static int run(const uint8_t* blob, size_t size, const void* context) {
  const Options* options = context;
  SparsesepPackedHeader header;
  if (sparsesep_validate_packed_weights(blob, size) != SPARSESEP_OK) return 0;
  memcpy(&header, blob, sizeof(header));
  const int32_t batch = 1 + (int32_t)(next_random() % 5);
  const int is_float = header.value_type == SPARSESEP_VALUE_FLOAT32;
  const size_t width = is_float ? sizeof(float) : 1;
  const size_t inputs = (size_t)batch * header.cols * width;
  const size_t outputs = (size_t)batch * header.rows * width;
  uint8_t* input = malloc(inputs);
  uint8_t* output = malloc(outputs);
  if (input == NULL || output == NULL) exit(2);
  fill_random(input, inputs);
  const SparsesepStatus status = run_fully_connected(
      options->bytes, options->size, blob, size, is_float, input,
      batch * (int32_t)header.cols, output, (int32_t)header.rows, batch, NULL);
  free(input);
  free(output);
  return status == SPARSESEP_OK;
}

#ifdef SPARSESEP_LIBFUZZER
static int run_parts(const uint8_t* options, size_t options_size,
                     const uint8_t* blob, size_t blob_size) {
  const Options parts = {options, options_size};
  return run(blob, blob_size, &parts);
}

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  return fuzz_input(data, size, run_parts);
}
#else
int main(int argc, char** argv) {
  if (argc != 5) return 2;
  size_t size;
  Options options;
  uint8_t* blob = read_file(argv[1], &size);
  uint8_t* bytes = read_file(argv[2], &options.size);
  options.bytes = bytes;
  const int status =
      fuzz(blob, size, sizeof(SparsesepPackedHeader), atol(argv[3]),
           (uint32_t)atol(argv[4]), run, &options);
  free(blob);
  free(bytes);
  return status;
}
#endif
