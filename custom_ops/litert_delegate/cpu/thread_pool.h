// Threads that share one piece of work at a time.
#ifndef SPARSESEP_DELEGATE_CPU_THREAD_POOL_H_
#define SPARSESEP_DELEGATE_CPU_THREAD_POOL_H_

#include <stdint.h>

typedef struct SparsesepThreadPool SparsesepThreadPool;

// Does part `part` of the work.
typedef void (*SparsesepTask)(void* work, int32_t part);

// `threads`, the caller's included; they start with the first work. NULL
// without memory.
SparsesepThreadPool* sparsesep_create_thread_pool(int32_t threads);

void sparsesep_free_thread_pool(SparsesepThreadPool* pool);

int32_t sparsesep_thread_count(const SparsesepThreadPool* pool);

// Parts of `work` with at least `least` in each: 1 to `threads`.
static inline int32_t sparsesep_part_count(int64_t work, int64_t least,
                                           int32_t threads) {
  const int64_t parts = work / least;
  return parts < 1 ? 1 : parts < threads ? (int32_t)parts : threads;
}

// Calls task(work, 0 .. parts - 1), several at a time, and returns when all
// are done. Callers on several threads take turns.
void sparsesep_run_parts(SparsesepThreadPool* pool, SparsesepTask task,
                         void* work, int32_t parts);

#endif  // SPARSESEP_DELEGATE_CPU_THREAD_POOL_H_
