// custom_options of the operators: small versioned structs, little-endian.
// A model file does not align them, so read them with memcpy.
//
// Bytes may follow a struct: a FlexBuffer, which viewers of models read from
// its end. Kernels never read it. The blob of a convolution says everything, so
// that its options are none, or a head without parameters and a FlexBuffer.
#ifndef SPARSESEP_OP_OPTIONS_H_
#define SPARSESEP_OP_OPTIONS_H_

#include <stddef.h>
#include <stdint.h>
#include <string.h>

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

#define SPARSESEP_OPTIONS_BYTES_CONV 4
#define SPARSESEP_OPTIONS_BYTES 20
#define SPARSESEP_OPTIONS_BYTES_WINDOWS 24

// The first word: the version, and the bytes of the struct.
#define SPARSESEP_OPTIONS_HEAD \
  (SPARSESEP_OPTIONS_VERSION | SPARSESEP_OPTIONS_BYTES << 16)
#define SPARSESEP_OPTIONS_HEAD_WINDOWS \
  (SPARSESEP_OPTIONS_VERSION_WINDOWS | SPARSESEP_OPTIONS_BYTES_WINDOWS << 16)
#define SPARSESEP_OPTIONS_HEAD_CONV \
  (SPARSESEP_OPTIONS_VERSION | SPARSESEP_OPTIONS_BYTES_CONV << 16)

// Returns the first word, or 0 where there is none.
static inline uint32_t sparsesep_options_head(const void* options,
                                              size_t size) {
  uint32_t head = 0;
  if (options != NULL && size >= sizeof(head)) {
    memcpy(&head, options, sizeof(head));
  }
  return head;
}

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
