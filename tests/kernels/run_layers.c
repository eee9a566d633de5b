// Runs layers through the op core, for instance under an emulator of another
// processor.
//
//   run_layers LAYERS OUTPUTS
//
// LAYERS holds one layer after the other: six uint32 (bytes of options, bytes
// of blob, element type, elements of input, rows, batch), then options, blob
// and input. Writes the outputs to OUTPUTS one after the other and prints the
// variant that ran each layer. Inputs and outputs end at a page that cannot be
// touched.
#define _DEFAULT_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "host/device_variants.h"
#include "run_fully_connected.h"
#include "sparsesep/packed_weights.h"

typedef struct Guarded {
  uint8_t* data;
  uint8_t* pages;
  size_t size;
} Guarded;

// `bytes` of memory that end, up to `alignment`, where an unmapped page begins.
static Guarded allocate(size_t bytes, size_t alignment) {
  const size_t page = (size_t)sysconf(_SC_PAGESIZE);
  const size_t used = (bytes + alignment - 1) / alignment * alignment;
  const size_t room = (used + page - 1) / page * page;
  uint8_t* pages = mmap(NULL, room + page, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (pages == MAP_FAILED || mprotect(pages + room, page, PROT_NONE) != 0) {
    exit(2);
  }
  return (Guarded){pages + room - used, pages, room + page};
}

static Guarded read_guarded(FILE* file, size_t bytes, size_t alignment) {
  Guarded memory = allocate(bytes, alignment);
  if (fread(memory.data, 1, bytes, file) != bytes) exit(2);
  return memory;
}

static void release(Guarded memory) { munmap(memory.pages, memory.size); }

static void run_layer(const uint32_t header[6], FILE* layers, FILE* outputs) {
  const SparsesepTensorType type = (SparsesepTensorType)header[2];
  const size_t width = type == SPARSESEP_TENSOR_FLOAT32 ? sizeof(float) : 1;
  const uint32_t elements = header[3];
  const uint32_t rows = header[4];
  const uint32_t batch = header[5];
  Guarded options = read_guarded(layers, header[0], 1);
  Guarded blob = read_guarded(layers, header[1], SPARSESEP_PACKED_ALIGNMENT);
  Guarded input = read_guarded(layers, width * elements, width);
  Guarded output = allocate(width * rows * batch, width);
  const SparsesepStatus status = run_fully_connected(
      options.data, header[0], blob.data, header[1],
      type == SPARSESEP_TENSOR_FLOAT32, input.data, (int32_t)elements,
      output.data, (int32_t)rows, (int32_t)batch, NULL);
  if (status != SPARSESEP_OK) {
    fprintf(stderr, "%s\n", sparsesep_host_status_message(status));
    exit(1);
  }
  puts(sparsesep_host_variant_name(NULL, blob.data));
  fwrite(output.data, width, (size_t)rows * batch, outputs);
  release(options);
  release(blob);
  release(input);
  release(output);
}

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  FILE* layers = fopen(argv[1], "rb");
  FILE* outputs = fopen(argv[2], "wb");
  if (layers == NULL || outputs == NULL) return 2;
  uint32_t header[6];
  while (fread(header, sizeof(header), 1, layers) == 1) {
    run_layer(header, layers, outputs);
  }
  return ferror(layers) || fclose(outputs) != 0 ? 2 : 0;
}
