// custom_options of the operators: small versioned structs, little-endian.
// A model file does not align them, so read them with memcpy.
#ifndef SPARSESEP_OP_OPTIONS_H_
#define SPARSESEP_OP_OPTIONS_H_

#include <stdint.h>

#include "sparsesep/sparsesep.h"

#define SPARSESEP_OPTIONS_VERSION 1

typedef struct SparsesepFullyConnectedOptions {
  uint16_t version;  // SPARSESEP_OPTIONS_VERSION
  uint16_t bytes;    // sizeof(SparsesepFullyConnectedOptions)
  SparsesepFullyConnectedParams params;
} SparsesepFullyConnectedOptions;

#ifdef __cplusplus
static_assert(sizeof(SparsesepFullyConnectedOptions) == 20,
              "options are a file format");
#else
_Static_assert(sizeof(SparsesepFullyConnectedOptions) == 20,
               "options are a file format");
#endif

#endif  // SPARSESEP_OP_OPTIONS_H_
