// The op core's host on bare metal: its tensors in the arena.
#ifndef SPARSESEP_FIRMWARE_ARRAY_PORT_H_
#define SPARSESEP_FIRMWARE_ARRAY_PORT_H_

#include "job.h"
#include "port.h"

#define ARRAY_PORT_MAX_SCRATCH 8

typedef struct ArrayPort {
  SparsesepTensor tensors[SPARSESEP_SLOTS];  // by SparsesepTensorSlot
  void* scratch[ARRAY_PORT_MAX_SCRATCH];
  int scratch_count;
  FirmwareResult* result;  // counts bytes and keeps the core's message
} ArrayPort;

// A host over `port`, which outlives it.
SparsesepHost array_port_host(ArrayPort* port);

#endif  // SPARSESEP_FIRMWARE_ARRAY_PORT_H_
