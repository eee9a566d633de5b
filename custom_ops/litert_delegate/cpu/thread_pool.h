// Threads that share one task at a time.
#ifndef SPARSESEP_DELEGATE_CPU_THREAD_POOL_H_
#define SPARSESEP_DELEGATE_CPU_THREAD_POOL_H_

#include <stdint.h>

typedef struct SparsesepThreadPool SparsesepThreadPool;

// Runs part `part` of the work.
typedef void (*SparsesepTask)(void* work, int32_t part);

// `threads` includes the caller; the others start with the first task. NULL
// if memory runs out.
SparsesepThreadPool* sparsesep_create_thread_pool(int32_t threads);

void sparsesep_free_thread_pool(SparsesepThreadPool* pool);

int32_t sparsesep_thread_count(const SparsesepThreadPool* pool);

// Returns the number of parts, 1 to `threads`, of at least `least` work
// each.
static inline int32_t sparsesep_part_count(int64_t work, int64_t least,
                                           int32_t threads) {
  const int64_t parts = work / least;
  return parts < 1 ? 1 : parts < threads ? (int32_t)parts : threads;
}

// Calls task(work, 0 .. parts - 1) on several threads and returns when all
// calls have finished. Concurrent callers take turns.
void sparsesep_run_parts(SparsesepThreadPool* pool, SparsesepTask task,
                         void* work, int32_t parts);

#endif  // SPARSESEP_DELEGATE_CPU_THREAD_POOL_H_
