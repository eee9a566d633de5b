// 1x1 blocks, one bit for each column, int8 values: any core.
#include "sparse_fully_connected/row_groups.h"
#include "sparse_fully_connected/scalar/lowest_bit.h"
#include "sparse_fully_connected/variants.h"

// Up to four bytes of the bitmap, low first, as one word.
static inline uint32_t load_bits(const uint8_t* bitmap, uint32_t bytes) {
  if (bytes >= 4) {
    return bitmap[0] | (uint32_t)bitmap[1] << 8 | (uint32_t)bitmap[2] << 16 |
           (uint32_t)bitmap[3] << 24;
  }
  uint32_t bits = 0;
  while (bytes > 0) bits = bits << 8 | bitmap[--bytes];
  return bits;
}

static void multiply(SparsesepRowStreams* streams, const int8_t* vector,
                     uint32_t groups, uint32_t* acc) {
  const uint32_t bytes = (streams->weights->cols + 7) / 8;
  const uint8_t* bitmap = streams->index;
  const int8_t* value = streams->value;
  for (; groups > 0; --groups, bitmap += bytes) {
    uint32_t sum = 0;
    const int8_t* x = vector;
    for (uint32_t byte = 0; byte < bytes; byte += 4, x += 32) {
      uint32_t bits = load_bits(bitmap + byte, bytes - byte);
      for (; bits != 0; bits &= bits - 1) {
        sum += (uint32_t)(*value++ * x[sparsesep_lowest_bit(bits)]);
      }
    }
    *acc++ = sum;
  }
  streams->index = bitmap;
  streams->value = value;
}

void sparsesep_fully_connected_1x1_bitmap_int8_scalar(
    const SparsesepPackedHeader* weights,
    const SparsesepFullyConnectedParams* params, const void* input,
    int32_t batch, void* output, void* scratch) {
  sparsesep_run_row_groups(weights, params, input, batch, output, scratch,
                           multiply);
}
