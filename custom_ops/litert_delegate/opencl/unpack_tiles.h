// A packed weight blob in the one layout that OpenCL kernels read.
#ifndef SPARSESEP_DELEGATE_OPENCL_UNPACK_TILES_H_
#define SPARSESEP_DELEGATE_OPENCL_UNPACK_TILES_H_

#include <stdbool.h>

#include "sparsesep/packed_weights.h"

// Tiles, row group after row group, whatever the blob's own order and encoding
// are: its blocks if they are of int8. Floats are tiles of 1x1 and groups of
// one row, whatever their blocks are: the kernel for floats reads no others.
typedef struct SparsesepTiles {
  int32_t tile_rows;
  int32_t tile_cols;
  uint32_t groups;
  uint32_t count;
  int32_t* starts;    // [groups + 1]: first tile of each group
  uint16_t* columns;  // [count]: first column of each tile
  void* values;       // [count][tile_rows][tile_cols], int8_t or float; palette
                      // codes are replaced
} SparsesepTiles;

// Unpacks a valid blob, each group filled up with tiles of zeros at column 0 to
// a multiple of so many. False without memory; sparsesep_free_tiles() is to be
// called either way.
bool sparsesep_unpack_tiles(const SparsesepPackedHeader* weights,
                            int32_t multiple, SparsesepTiles* tiles);

void sparsesep_free_tiles(SparsesepTiles* tiles);

// The biases of a blob with int8 values, - zero_point * sum of the row
// included. `bias` holds an int32 per row.
void sparsesep_folded_bias(const SparsesepPackedHeader* weights,
                           const SparsesepTiles* tiles, int32_t zero_point,
                           int32_t* bias);

#endif  // SPARSESEP_DELEGATE_OPENCL_UNPACK_TILES_H_
