#include "array_port.h"

#include <string.h>

#include "arena.h"

static SparsesepStatus get_tensor(const SparsesepHost* host,
                                  SparsesepTensorSlot slot,
                                  SparsesepTensor* tensor) {
  const ArrayPort* port = host->context;
  *tensor = port->tensors[slot];
  return SPARSESEP_OK;
}

static void* allocate_persistent(const SparsesepHost* host, size_t bytes) {
  ArrayPort* port = host->context;
  port->result->persistent_bytes += bytes;
  return arena_allocate(bytes);
}

static SparsesepStatus request_scratch(const SparsesepHost* host, size_t bytes,
                                       int* scratch_index) {
  ArrayPort* port = host->context;
  if (port->scratch_count == ARRAY_PORT_MAX_SCRATCH) {
    return SPARSESEP_OUT_OF_MEMORY;
  }
  void* memory = arena_allocate(bytes);
  if (memory == NULL) return SPARSESEP_OUT_OF_MEMORY;
  port->result->scratch_bytes += bytes;
  *scratch_index = port->scratch_count;
  port->scratch[port->scratch_count++] = memory;
  return SPARSESEP_OK;
}

static void* get_scratch(const SparsesepHost* host, int scratch_index) {
  const ArrayPort* port = host->context;
  return port->scratch[scratch_index];
}

static void report(const SparsesepHost* host, const char* op_name,
                   const char* message) {
  (void)op_name;
  ArrayPort* port = host->context;
  strncpy(port->result->message, message, sizeof(port->result->message) - 1);
}

SparsesepHost array_port_host(ArrayPort* port) {
  return (SparsesepHost){
      .context = port,
      .get_tensor = get_tensor,
      .allocate_persistent = allocate_persistent,
      .request_scratch = request_scratch,
      .get_scratch = get_scratch,
      .report = report,
  };
}
