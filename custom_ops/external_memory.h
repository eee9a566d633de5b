// Where the pages of paged weights come from: functions of the application.
#ifndef SPARSESEP_EXTERNAL_MEMORY_H_
#define SPARSESEP_EXTERNAL_MEMORY_H_

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct SparsesepExternalMemory {
  void* context;  // the application's own, handed to both functions

  // Copies exactly `bytes` bytes from `offset` on to `destination`; false where
  // they cannot be read. `offset` and `bytes` are multiples of 16,
  // `destination` is aligned to 4, to 16 during Eval.
  bool (*fetch)(void* context, uint32_t offset, uint32_t bytes,
                void* destination);

  // NULL where fetch returns when all bytes are there. Otherwise fetch may
  // return once a transfer has begun, and this returns when it has ended; false
  // where it failed. No fetch begins before the wait for the one before. The
  // operator then takes memory for two pages, and reads the next one while a
  // kernel runs on the other.
  bool (*wait)(void* context);

  // false: every page is checked completely whenever it was fetched, so that
  // whatever the memory holds, no kernel reads out of bounds. true: only in the
  // first Eval; later ones compare its checksum with the model's. For memories
  // that nobody can rewrite on purpose while the model runs.
  bool is_trusted;
} SparsesepExternalMemory;

#ifdef __cplusplus
}
#endif

#endif  // SPARSESEP_EXTERNAL_MEMORY_H_
