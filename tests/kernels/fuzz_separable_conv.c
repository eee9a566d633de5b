// Mutated blobs of SEPARABLE_CONV_2D: see fuzz_blobs.h.
//
//   fuzz_separable_conv BLOB MUTATIONS SEED
#include "fuzz_images.h"
#include "op_names.h"
#include "sparsesep/separable_conv.h"

static int run(const uint8_t* blob, size_t size, const void* context) {
  (void)context;
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
  const int32_t input_shape[] = {shape.batch, shape.input_height,
                                 shape.input_width, header.input_channels};
  const int32_t output_shape[] = {shape.batch, shape.output_height,
                                  shape.output_width, header.output_channels};
  const SparsesepStatus status =
      run_on_image(SPARSESEP_OP_SEPARABLE_CONV_2D, blob, size, is_float,
                   input_shape, output_shape);
  // Everything fits, so nothing but memory can be missing.
  if (status != SPARSESEP_OK && status != SPARSESEP_OUT_OF_MEMORY) exit(3);
  return 1;
}

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
int main(int argc, char** argv) {
  if (argc != 4) return 2;
  size_t size;
  uint8_t* blob = read_file(argv[1], &size);
  const int status = fuzz(blob, size, sizeof(SparsesepSeparableConv),
                          atol(argv[2]), (uint32_t)atol(argv[3]), run, NULL);
  free(blob);
  return status;
}
#endif
