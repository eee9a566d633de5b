// All memory of a layer: blocks cut from the RAM that the image leaves free,
// each followed by a guard, so that a kernel that writes too far is noticed.
#ifndef SPARSESEP_FIRMWARE_ARENA_H_
#define SPARSESEP_FIRMWARE_ARENA_H_

#include <stddef.h>

// Takes all blocks back.
void arena_reset(void);

// 16-byte aligned, or NULL where RAM or the list of guards is full.
void* arena_allocate(size_t bytes);

// 1 while no guard was written to.
int arena_is_intact(void);

#endif  // SPARSESEP_FIRMWARE_ARENA_H_
