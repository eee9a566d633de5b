// Converts a packed weight blob to the only layout of the OpenCL kernels.
#ifndef SPARSESEP_DELEGATE_OPENCL_UNPACK_TILES_H_
#define SPARSESEP_DELEGATE_OPENCL_UNPACK_TILES_H_

#include <stdbool.h>

#include "sparsesep/packed_weights.h"

// Tiles, by row group, independent of the blob's order and encoding. int8
// tiles are the blob's blocks. Floats become tiles of 1x1 in groups of one
// row, the only ones that the float kernel reads.
typedef struct SparsesepTiles {
  int32_t tile_rows;
  int32_t tile_cols;
  uint32_t groups;
  uint32_t count;
  int32_t* starts;    // [groups + 1]: first tile of each group
  uint16_t* columns;  // [count]: first column of each tile
  void* values;       // [count][tile_rows][tile_cols], int8_t or float; palette
                      // codes are expanded
} SparsesepTiles;

// Unpacks a valid blob; pads each group with tiles of zeros at column 0 to a
// multiple of `multiple`. False if memory runs out; sparsesep_free_tiles()
// must be called in either case.
bool sparsesep_unpack_tiles(const SparsesepPackedHeader* weights,
                            int32_t multiple, SparsesepTiles* tiles);

void sparsesep_free_tiles(SparsesepTiles* tiles);

// Computes the biases of a blob with int8 values, zero_point * sum of the
// row subtracted. `bias` holds an int32 per row.
void sparsesep_folded_bias(const SparsesepPackedHeader* weights,
                           const SparsesepTiles* tiles, int32_t zero_point,
                           int32_t* bias);

#endif  // SPARSESEP_DELEGATE_OPENCL_UNPACK_TILES_H_
