// custom_options of the operators: small versioned structs, little-endian.
// A model file does not align them, so read them with memcpy.
#ifndef SPARSESEP_OP_OPTIONS_H_
#define SPARSESEP_OP_OPTIONS_H_

#include <stdint.h>

#include "sparsesep/sparsesep.h"

// Version 1 ends before params.input_step: vectors lie side by side. Version 2
// is written for layers whose vectors are windows of the input.
#define SPARSESEP_OPTIONS_VERSION 1
#define SPARSESEP_OPTIONS_VERSION_WINDOWS 2

typedef struct SparsesepFullyConnectedOptions {
  uint16_t version;
  uint16_t bytes;  // of the version
  SparsesepFullyConnectedParams params;
} SparsesepFullyConnectedOptions;

#define SPARSESEP_OPTIONS_BYTES 20
#define SPARSESEP_OPTIONS_BYTES_WINDOWS 24

#ifdef __cplusplus
static_assert(sizeof(SparsesepFullyConnectedOptions) ==
                  SPARSESEP_OPTIONS_BYTES_WINDOWS,
              "options are a file format");
#else
_Static_assert(sizeof(SparsesepFullyConnectedOptions) ==
                   SPARSESEP_OPTIONS_BYTES_WINDOWS,
               "options are a file format");
#endif

#endif  // SPARSESEP_OP_OPTIONS_H_
