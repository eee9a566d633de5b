// Preloaded: counts the blocks of memory that one library's own code has
// allocated and nobody has freed, and may let one of its allocations fail. What
// other libraries allocate on its behalf does not count.
//
// The return address identifies the caller. The real functions are glibc's.
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void* __libc_malloc(size_t bytes);
void* __libc_calloc(size_t count, size_t bytes);
void* __libc_realloc(void* block, size_t bytes);
void* __libc_memalign(size_t alignment, size_t bytes);
void __libc_free(void* block);

#define SLOTS (1u << 16)

// Where the library's code lies, and the number of its allocation that fails,
// from 1; 0: none. Set through ctypes.
uintptr_t counted_start;
uintptr_t counted_end;
int counted_fail_at;
atomic_int counted_calls;
int counted_live;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static void* slots[SLOTS];  // linear probing; NULL is empty

static uint32_t home(const void* block) {
  return (uint32_t)(((uintptr_t)block >> 4) * 0x9e3779b1u) % SLOTS;
}

static void add(void* block) {
  pthread_mutex_lock(&lock);
  uint32_t at = home(block);
  while (slots[at] != NULL) at = (at + 1) % SLOTS;
  slots[at] = block;
  ++counted_live;
  pthread_mutex_unlock(&lock);
}

// Moves what follows back over the gap, so that searches need no tombstones.
static void close_gap(uint32_t gap) {
  for (uint32_t at = (gap + 1) % SLOTS; slots[at] != NULL;
       at = (at + 1) % SLOTS) {
    const uint32_t distance = (at - home(slots[at])) % SLOTS;
    if (distance < (at - gap) % SLOTS) continue;
    slots[gap] = slots[at];
    gap = at;
  }
  slots[gap] = NULL;
}

static void forget(const void* block) {
  if (block == NULL || counted_live == 0) return;
  pthread_mutex_lock(&lock);
  uint32_t at = home(block);
  while (slots[at] != NULL && slots[at] != block) at = (at + 1) % SLOTS;
  if (slots[at] == block) {
    close_gap(at);
    --counted_live;
  }
  pthread_mutex_unlock(&lock);
}

static bool is_counted(const void* caller) {
  const uintptr_t address = (uintptr_t)caller;
  return address >= counted_start && address < counted_end;
}

static bool fails(const void* caller) {
  return is_counted(caller) && ++counted_calls == counted_fail_at;
}

static void* note(void* block, const void* caller) {
  if (block != NULL && is_counted(caller)) add(block);
  return block;
}

void* malloc(size_t bytes) {
  const void* caller = __builtin_return_address(0);
  return fails(caller) ? NULL : note(__libc_malloc(bytes), caller);
}

void* calloc(size_t count, size_t bytes) {
  const void* caller = __builtin_return_address(0);
  return fails(caller) ? NULL : note(__libc_calloc(count, bytes), caller);
}

void* aligned_alloc(size_t alignment, size_t bytes) {
  const void* caller = __builtin_return_address(0);
  return fails(caller) ? NULL : note(__libc_memalign(alignment, bytes), caller);
}

void* realloc(void* block, size_t bytes) {
  const void* caller = __builtin_return_address(0);
  if (fails(caller)) return NULL;
  forget(block);
  return note(__libc_realloc(block, bytes), caller);
}

void free(void* block) {
  forget(block);
  __libc_free(block);
}
