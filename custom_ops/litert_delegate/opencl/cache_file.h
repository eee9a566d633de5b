// Results that outlive the process, as small files in cache_dir: compiled
// programs and tuned launches. A file that is damaged, truncated, of another
// key or another user's is no error; it reads as missing and is replaced.
#ifndef SPARSESEP_DELEGATE_OPENCL_CACHE_FILE_H_
#define SPARSESEP_DELEGATE_OPENCL_CACHE_FILE_H_

#include <stddef.h>
#include <stdint.h>

// Returns FNV-1a over a text and its end. `state` is SPARSESEP_HASH_START or
// the hash of the preceding text.
#define SPARSESEP_HASH_START 0xcbf29ce484222325u
uint64_t sparsesep_hash(uint64_t state, const char* text);

// Returns the content of `folder`/sparsesep_<key>.<kind>, from malloc, and
// its length; NULL without such a file or without a folder ("").
uint8_t* sparsesep_read_cache_file(const char* folder, uint64_t key,
                                   const char* kind, size_t* count);

// Writes the file; failures are ignored.
void sparsesep_write_cache_file(const char* folder, uint64_t key,
                                const char* kind, const void* bytes,
                                size_t count);

#endif  // SPARSESEP_DELEGATE_OPENCL_CACHE_FILE_H_
