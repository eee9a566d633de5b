// Preloaded: counts the blocks of memory that one library's own code has
// allocated and nobody has freed. What other libraries allocate is theirs,
// though it be on our behalf.
//
// The caller of malloc is told by its return address. The real functions are
// glibc's.
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

void* __libc_malloc(size_t bytes);
void* __libc_calloc(size_t count, size_t bytes);
void* __libc_realloc(void* block, size_t bytes);
void __libc_free(void* block);

#define SLOTS (1u << 16)

// Where the library's code lies. Set through ctypes.
uintptr_t counted_start;
uintptr_t counted_end;
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

static void* note(void* block, const void* caller) {
  const uintptr_t address = (uintptr_t)caller;
  if (block != NULL && address >= counted_start && address < counted_end) {
    add(block);
  }
  return block;
}

void* malloc(size_t bytes) {
  return note(__libc_malloc(bytes), __builtin_return_address(0));
}

void* calloc(size_t count, size_t bytes) {
  return note(__libc_calloc(count, bytes), __builtin_return_address(0));
}

void* realloc(void* block, size_t bytes) {
  forget(block);
  return note(__libc_realloc(block, bytes), __builtin_return_address(0));
}

void free(void* block) {
  forget(block);
  __libc_free(block);
}
