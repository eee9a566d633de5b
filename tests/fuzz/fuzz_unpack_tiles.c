// Blobs unpacked for OpenCL: tiles of a valid blob lie in its matrix.
// libFuzzer only: see libfuzzer.py.
#include "fuzz_blobs.h"
#include "opencl/unpack_tiles.h"

static void check(const SparsesepPackedHeader* weights,
                  const SparsesepTiles* tiles, int32_t multiple) {
  if ((uint32_t)tiles->starts[tiles->groups] != tiles->count) abort();
  for (uint32_t group = 0; group < tiles->groups; ++group) {
    const int32_t filled = tiles->starts[group + 1] - tiles->starts[group];
    if (filled < 0 || filled % multiple != 0) abort();
  }
  for (uint32_t i = 0; i < tiles->count; ++i) {
    if (tiles->columns[i] >= weights->cols) abort();
  }
}

static int run_parts(const uint8_t* options, size_t options_size,
                     const uint8_t* blob, size_t blob_size) {
  const SparsesepPackedHeader* weights = (const void*)blob;
  SparsesepTiles tiles;
  if (sparsesep_validate_packed_weights(blob, blob_size) != SPARSESEP_OK) {
    return 0;
  }
  const int32_t multiple =
      1 << (options_size > 0 ? options[0] : next_random()) % 4;
  if (sparsesep_unpack_tiles(weights, multiple, &tiles)) {
    check(weights, &tiles, multiple);
    if (weights->value_type != SPARSESEP_VALUE_FLOAT32) {
      int32_t* bias = malloc(sizeof(int32_t) * weights->rows);
      if (bias == NULL) exit(2);
      sparsesep_folded_bias(weights, &tiles, (int8_t)next_random(), bias);
      free(bias);
    }
  }
  sparsesep_free_tiles(&tiles);
  return 1;
}

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  return fuzz_input(data, size, run_parts);
}
