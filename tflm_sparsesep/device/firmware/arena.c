#include "arena.h"

#include <stdint.h>
#include <string.h>

#define ALIGNMENT 16u
#define MAX_BLOCKS 16

extern uint8_t __arena_start[], __arena_end[];

static const uint8_t guard[16] = {0xa5, 0x3c, 0x5a, 0xc3, 0x96, 0x69,
                                  0x0f, 0xf0, 0x5a, 0xc3, 0xa5, 0x3c,
                                  0x69, 0x96, 0xf0, 0x0f};
static uint8_t* next = __arena_start;
static uint8_t* guards[MAX_BLOCKS];
static int blocks;

void arena_reset(void) {
  next = __arena_start;
  blocks = 0;
}

void* arena_allocate(size_t bytes) {
  uint8_t* start = next;
  const size_t room = (size_t)(__arena_end - start);
  if (blocks == MAX_BLOCKS || room < sizeof(guard) + ALIGNMENT ||
      bytes > room - sizeof(guard) - ALIGNMENT) {
    return NULL;
  }
  guards[blocks] = start + bytes;
  memcpy(guards[blocks], guard, sizeof(guard));
  ++blocks;
  next += (bytes + sizeof(guard) + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
  return start;
}

int arena_is_intact(void) {
  for (int block = 0; block < blocks; ++block) {
    if (memcmp(guards[block], guard, sizeof(guard)) != 0) return 0;
  }
  return 1;
}
