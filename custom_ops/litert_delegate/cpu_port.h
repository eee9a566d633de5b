// The port of the op core to the delegate: one operator's tensors and memory.
#ifndef SPARSESEP_DELEGATE_CPU_PORT_H_
#define SPARSESEP_DELEGATE_CPU_PORT_H_

#include "cpu_operation.h"
#include "port.h"

typedef struct SparsesepCpuPort {
  SparsesepHost host;
  TfLiteContext* runtime;
  SparsesepTensor tensors[3];  // by SparsesepTensorSlot
  SparsesepShape shapes[2];    // of input and output
  int32_t blob_bytes;
  void* blob_copy;  // NULL where the model aligns its blob
  _Alignas(16) uint8_t persistent[64];
  void* scratch;
} SparsesepCpuPort;

// False without memory; sparsesep_close_port() is then still to be called.
bool sparsesep_open_port(const SparsesepCpuPrepare* prepare,
                         SparsesepCpuPort* port);

void sparsesep_close_port(SparsesepCpuPort* port);

#endif  // SPARSESEP_DELEGATE_CPU_PORT_H_
