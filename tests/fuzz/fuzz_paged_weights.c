// Mutated pages and tables of contents of SPARSE_FULLY_CONNECTED, or, where the
// table stands behind a header of sparse_conv.h, of SPARSE_CONV_2D: see
// fuzz_blobs.h. Most mutants of pages are forged: their last word makes the
// checksum the one in the table, so that nothing but the check of the page
// itself stands between them and the kernels.
//
//   fuzz_paged_weights TABLE IMAGE OPTIONS MUTATIONS SEED
#include "../kernels/run_fully_connected.h"
#include "fuzz_images.h"
#include "op_names.h"
#include "sparsesep/paged_weights.h"
#include "sparsesep/sparse_conv.h"

typedef struct {
  uint8_t* bytes;
  size_t size;
} File;

typedef struct {
  const SparsesepSparseConv* conv;    // not mutated; NULL of other layers
  const SparsesepPagedHeader* table;  // not mutated
  const File* image;
  // Whether pages are mutated anew in every Eval: only where they are checked
  // every time.
  int is_changing;
} Memory;

static File read_whole(const char* path) {
  File file;
  file.bytes = read_file(path, &file.size);
  return file;
}

static File copy(const File* file, size_t kept) {
  File copied = {malloc(kept > 0 ? kept : 1), kept};
  if (copied.bytes == NULL) exit(2);
  memcpy(copied.bytes, file->bytes, kept);
  return copied;
}

// Bytes before the table.
static size_t head_of(const File* table) {
  uint32_t magic = 0;
  if (table->size < sizeof(SparsesepSparseConv)) return 0;
  memcpy(&magic, table->bytes, sizeof(magic));
  return magic == SPARSESEP_SPARSE_CONV_MAGIC ? sizeof(SparsesepSparseConv) : 0;
}

static Memory memory_of(const File* table, const File* image, int is_changing) {
  const size_t head = head_of(table);
  return (Memory){head > 0 ? (const void*)table->bytes : NULL,
                  (const void*)(table->bytes + head), image, is_changing};
}

static uint32_t checksum(const uint8_t* page, uint32_t bytes) {
  uint32_t* words = malloc(bytes);
  if (words == NULL) exit(2);
  memcpy(words, page, bytes);
  const uint32_t sum = sparsesep_page_checksum(0, words, bytes);
  free(words);
  return sum;
}

// Gives a page the checksum of another by its last word, whose every value
// makes another checksum, at the same distance for all pages.
static void forge(uint8_t* page, uint32_t bytes, uint32_t wanted) {
  uint8_t* last = page + bytes - 4;
  uint32_t inverse = 0x9e3779b9u;  // of itself as a factor, by Newton
  for (int i = 0; i < 5; ++i) inverse *= 2 - 0x9e3779b9u * inverse;
  memset(last, 0, 4);
  // (turned ^ word) * factor == wanted, and (turned ^ 0) * factor is known.
  const uint32_t turned = checksum(page, bytes) * inverse;
  const uint32_t word = turned ^ wanted * inverse;
  memcpy(last, &word, 4);
}

static void mutate_page(uint8_t* page, const SparsesepPage* entry) {
  mutate(page, entry->bytes, sizeof(SparsesepPackedHeader));
  if (next_random() % 16 != 0) forge(page, entry->bytes, entry->checksum);
}

static bool fetch(void* context, uint32_t offset, uint32_t bytes,
                  void* destination) {
  const Memory* memory = context;
  if (offset > memory->image->size || bytes > memory->image->size - offset) {
    return false;
  }
  memcpy(destination, memory->image->bytes + offset, bytes);
  const SparsesepPage* entry = sparsesep_pages(memory->table);
  uint32_t start = memory->table->offset;
  for (uint32_t n = memory->table->pages; n > 0; --n, ++entry) {
    if (memory->is_changing && start == offset && entry->bytes == bytes &&
        next_random() % 8 == 0) {
      mutate_page(destination, entry);
    }
    start += entry->bytes;
  }
  return true;
}

static bool wait(void* context) {
  (void)context;
  return true;
}

static int run_conv(const Memory* memory, const File* table,
                    const SparsesepExternalMemory* external) {
  // Passes over up to 16 windows, with all rests. Inference takes most of the
  // time: few lines.
  SparsesepConvShape shape = {1 + (int32_t)(next_random() % 2),
                              1 + (int32_t)(next_random() % 3),
                              1 + (int32_t)(next_random() % 24),
                              0,
                              0,
                              0,
                              0};
  if (sparsesep_sparse_conv_shape(memory->conv, &shape) != SPARSESEP_OK) {
    return 1;
  }
  const int32_t input_shape[] = {shape.batch, shape.input_height,
                                 shape.input_width, memory->conv->channels};
  const int32_t output_shape[] = {shape.batch, shape.output_height,
                                  shape.output_width,
                                  (int32_t)memory->table->rows};
  const ThirdInput third = random_third();
  const SparsesepStatus status =
      run_on_image(SPARSESEP_OP_SPARSE_CONV_2D, table->bytes, table->size,
                   memory->table->value_type == SPARSESEP_VALUE_FLOAT32,
                   input_shape, output_shape, third, external);
  if (status == SPARSESEP_OK && !fits_third(table->bytes, third)) exit(3);
  return status == SPARSESEP_OK;
}

static int run_vectors(const Memory* memory, const File* table,
                       const File* options,
                       const SparsesepExternalMemory* external) {
  const SparsesepPagedHeader* shape = memory->table;
  const int32_t batch = 1 + (int32_t)(next_random() % 3);
  const int is_float = shape->value_type == SPARSESEP_VALUE_FLOAT32;
  const size_t width = is_float ? sizeof(float) : 1;
  const size_t inputs = (size_t)batch * shape->cols * width;
  uint8_t* input = malloc(inputs);
  uint8_t* output = malloc((size_t)batch * shape->rows * width);
  if (input == NULL || output == NULL) exit(2);
  fill_random(input, inputs);
  const SparsesepStatus status = run_fully_connected(
      options->bytes, options->size, table->bytes, table->size, is_float, input,
      batch * (int32_t)shape->cols, output, (int32_t)shape->rows, batch,
      external);
  free(input);
  free(output);
  return status == SPARSESEP_OK;
}

static int run(const Memory* memory, const File* table, const File* options) {
  const SparsesepExternalMemory external = {(void*)memory, fetch,
                                            next_random() % 2 ? wait : NULL,
                                            !memory->is_changing};
  return memory->conv != NULL ? run_conv(memory, table, &external)
                              : run_vectors(memory, table, options, &external);
}

// One mutant: of the table, or of a page in an image that stays as it is or in
// one that changes.
static int run_mutant(const File* table, const File* image,
                      const File* options) {
  const int is_changing = next_random() % 2 != 0;
  const SparsesepPagedHeader* original = memory_of(table, image, 0).table;
  const uint32_t kind = next_random() % 8;
  File tables = copy(table, table->size);
  File pages =
      copy(image, kind == 0 ? next_random() % image->size : image->size);
  if (kind == 1) {
    mutate(tables.bytes, tables.size, head_of(table) + sizeof(*original));
  }
  if (kind > 1 && !is_changing) {
    const SparsesepPage* entry = sparsesep_pages(original);
    uint8_t* page = pages.bytes + original->offset;
    for (uint32_t n = next_random() % original->pages; n > 0; --n, ++entry) {
      page += entry->bytes;
    }
    mutate_page(page, entry);
  }
  const Memory memory = memory_of(table, &pages, is_changing);
  const int accepted = run(&memory, &tables, options);
  free(tables.bytes);
  free(pages.bytes);
  return accepted;
}

#ifdef SPARSESEP_LIBFUZZER
// Makes the table's checksums those of the pages in the image.
static void sign(File* table, const File* image) {
  SparsesepPagedHeader header;
  const size_t head = head_of(table);
  if (table->size < head + sizeof(header)) return;
  memcpy(&header, table->bytes + head, sizeof(header));
  size_t entry = head + sizeof(header), start = header.offset;
  for (uint32_t n = header.pages; n > 0; --n, entry += sizeof(SparsesepPage)) {
    SparsesepPage page;
    if (table->size - entry < sizeof(page)) return;
    memcpy(&page, table->bytes + entry, sizeof(page));
    if (start > image->size || page.bytes > image->size - start) return;
    if (page.bytes % SPARSESEP_PAGE_ALIGNMENT != 0) return;
    page.checksum = checksum(image->bytes + start, page.bytes);
    memcpy(table->bytes + entry, &page, sizeof(page));
    start += page.bytes;
  }
}

// An input is a byte with flags, one with the size of the options, two with
// that of the table, the options, the table, and the image.
int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  enum { kPrefix = 4, kSigned = 1, kChanging = 2 };
  if (size < kPrefix) return -1;
  const size_t options_size = data[1];
  const size_t table_size = data[2] | (size_t)data[3] << 8;
  if (options_size + table_size > size - kPrefix) return -1;
  const File whole = {(uint8_t*)(uintptr_t)data + kPrefix, size - kPrefix};
  const File behind = {whole.bytes + options_size, table_size};
  const File rest = {behind.bytes + table_size,
                     whole.size - options_size - table_size};
  File options = copy(&whole, options_size);
  File table = copy(&behind, table_size);
  File image = copy(&rest, rest.size);
  state = (uint32_t)size * 2654435761u | 1u;
  if (data[0] & kSigned) sign(&table, &image);
  const Memory memory = memory_of(&table, &image, (data[0] & kChanging) != 0);
  const SparsesepStatus status =
      memory.conv != NULL
          ? sparsesep_validate_paged_sparse_conv(table.bytes, table.size)
          : sparsesep_validate_paged_weights(memory.table, table.size);
  if (status == SPARSESEP_OK) run(&memory, &table, &options);
  free(options.bytes);
  free(table.bytes);
  free(image.bytes);
  return 0;
}
#else
int main(int argc, char** argv) {
  if (argc != 6) return 2;
  File table = read_whole(argv[1]);
  File image = read_whole(argv[2]);
  File options = read_whole(argv[3]);
  const long mutations = atol(argv[4]);
  state = (uint32_t)atol(argv[5]) | 1u;
  long accepted = 0;
  for (long i = 0; i < mutations; ++i) {
    accepted += run_mutant(&table, &image, &options);
  }
  printf("accepted %ld refused %ld\n", accepted, mutations - accepted);
  free(table.bytes);
  free(image.bytes);
  free(options.bytes);
  return 0;
}
#endif
