// Results that outlive the process, as small files in cache_dir: compiled
// programs and tuned launches. A file that is damaged, truncated, of another
// key or another user's is no error; it reads as missing and is replaced.
#ifndef SPARSESEP_DELEGATE_OPENCL_CACHE_FILE_H_
#define SPARSESEP_DELEGATE_OPENCL_CACHE_FILE_H_

#include <stddef.h>
#include <stdint.h>

// FNV-1a over a text and its end; `state` is SPARSESEP_HASH_START or the hash
// of what came before.
#define SPARSESEP_HASH_START 0xcbf29ce484222325u
uint64_t sparsesep_hash(uint64_t state, const char* text);

// What `folder`/sparsesep_<key>.<kind> holds, from malloc, and its length; NULL
// where there is no such file, or no folder ("").
uint8_t* sparsesep_read_cache_file(const char* folder, uint64_t key,
                                   const char* kind, size_t* count);

// Writes it. A file that cannot be written is left out.
void sparsesep_write_cache_file(const char* folder, uint64_t key,
                                const char* kind, const void* bytes,
                                size_t count);

#endif  // SPARSESEP_DELEGATE_OPENCL_CACHE_FILE_H_
