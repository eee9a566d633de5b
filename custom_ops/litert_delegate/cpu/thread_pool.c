#include "cpu/thread_pool.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

#include "delegate_options.h"

// A waiting thread polls this number of times before it sleeps: some tens of
// microseconds, about the time that waking it takes. The next layer usually
// comes earlier.
#define LOOKS 1000

struct SparsesepThreadPool {
  pthread_mutex_t callers;  // held by the caller whose work is done
  pthread_mutex_t lock;     // of everything below
  pthread_cond_t work_there;
  pthread_cond_t work_done;
  SparsesepTask task;
  void* work;
  int32_t parts;
  int32_t next_part;
  // Written under the lock, polled without it.
  atomic_int parts_left;  // not finished
  atomic_uint rounds;     // number of tasks so far
  int32_t threads;
  int32_t started;
  bool tried_to_start;
  bool stop;
  pthread_t workers[SPARSESEP_MAX_THREADS];
};

static inline void relax(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

// Runs parts until none is left. The lock is held on entry and exit.
static void take_parts(SparsesepThreadPool* pool) {
  while (pool->next_part < pool->parts) {
    const int32_t part = pool->next_part++;
    pthread_mutex_unlock(&pool->lock);
    pool->task(pool->work, part);
    pthread_mutex_lock(&pool->lock);
    if (--pool->parts_left == 0) pthread_cond_signal(&pool->work_done);
  }
}

// Returns when there may be work. The lock is held on entry and exit.
static void wait_for_work(SparsesepThreadPool* pool) {
  const unsigned round = pool->rounds;
  pthread_mutex_unlock(&pool->lock);
  for (int i = 0; i < LOOKS && pool->rounds == round; ++i) relax();
  pthread_mutex_lock(&pool->lock);
  if (!pool->stop && pool->rounds == round) {
    pthread_cond_wait(&pool->work_there, &pool->lock);
  }
}

// Returns when all parts are finished. The lock is held on entry and exit.
static void wait_for_parts(SparsesepThreadPool* pool) {
  pthread_mutex_unlock(&pool->lock);
  for (int i = 0; i < LOOKS && pool->parts_left > 0; ++i) relax();
  pthread_mutex_lock(&pool->lock);
  while (pool->parts_left > 0) pthread_cond_wait(&pool->work_done, &pool->lock);
}

static void* work(void* argument) {
  SparsesepThreadPool* pool = argument;
  pthread_mutex_lock(&pool->lock);
  while (!pool->stop) {
    take_parts(pool);
    if (!pool->stop) wait_for_work(pool);
  }
  pthread_mutex_unlock(&pool->lock);
  return NULL;
}

// Continues with fewer threads than requested: the caller works as well.
static void start_workers(SparsesepThreadPool* pool) {
  pool->tried_to_start = true;
  while (pool->started < pool->threads - 1 &&
         pthread_create(&pool->workers[pool->started], NULL, work, pool) == 0) {
    ++pool->started;
  }
}

SparsesepThreadPool* sparsesep_create_thread_pool(int32_t threads) {
  SparsesepThreadPool* pool = calloc(1, sizeof(*pool));
  if (pool == NULL) return NULL;
  pthread_mutex_init(&pool->callers, NULL);
  pthread_mutex_init(&pool->lock, NULL);
  pthread_cond_init(&pool->work_there, NULL);
  pthread_cond_init(&pool->work_done, NULL);
  pool->threads = threads;
  return pool;
}

void sparsesep_free_thread_pool(SparsesepThreadPool* pool) {
  if (pool == NULL) return;
  pthread_mutex_lock(&pool->lock);
  pool->stop = true;
  pthread_cond_broadcast(&pool->work_there);
  pthread_mutex_unlock(&pool->lock);
  for (int32_t i = 0; i < pool->started; ++i) {
    pthread_join(pool->workers[i], NULL);
  }
  pthread_cond_destroy(&pool->work_done);
  pthread_cond_destroy(&pool->work_there);
  pthread_mutex_destroy(&pool->lock);
  pthread_mutex_destroy(&pool->callers);
  free(pool);
}

int32_t sparsesep_thread_count(const SparsesepThreadPool* pool) {
  return pool->threads;
}

void sparsesep_run_parts(SparsesepThreadPool* pool, SparsesepTask task,
                         void* work_of_parts, int32_t parts) {
  if (parts == 1) {
    task(work_of_parts, 0);
    return;
  }
  pthread_mutex_lock(&pool->callers);
  pthread_mutex_lock(&pool->lock);
  if (!pool->tried_to_start) start_workers(pool);
  pool->task = task;
  pool->work = work_of_parts;
  pool->parts = parts;
  pool->next_part = 0;
  pool->parts_left = parts;
  ++pool->rounds;
  pthread_cond_broadcast(&pool->work_there);
  take_parts(pool);
  wait_for_parts(pool);
  pthread_mutex_unlock(&pool->lock);
  pthread_mutex_unlock(&pool->callers);
}
