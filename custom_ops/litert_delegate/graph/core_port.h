// The port of the op core to the delegate: one operator's tensors and memory.
#ifndef SPARSESEP_DELEGATE_GRAPH_CORE_PORT_H_
#define SPARSESEP_DELEGATE_GRAPH_CORE_PORT_H_

#include "graph/partition.h"
#include "port.h"

typedef struct SparsesepCorePort {
  SparsesepHost host;
  TfLiteContext* runtime;
  SparsesepTensor tensors[SPARSESEP_SLOTS];  // shapes are the partition's
  int32_t blob_bytes;
  void* blob_copy;  // NULL if the model aligns its blob
  _Alignas(16) uint8_t persistent[64];
  void* scratch;
} SparsesepCorePort;

// Opens the port and prepares the op core on it, for the partition's current
// shapes. Returns the core's operator, a SparsesepFullyConnectedOp or
// SparsesepConvOp; NULL after reporting an error. sparsesep_close_port() must
// be called in either case.
void* sparsesep_open_core_op(TfLiteContext* context,
                             const SparsesepPartition* partition,
                             const SparsesepOperation* operation,
                             SparsesepCorePort* port);

void sparsesep_close_port(SparsesepCorePort* port);

#endif  // SPARSESEP_DELEGATE_GRAPH_CORE_PORT_H_
