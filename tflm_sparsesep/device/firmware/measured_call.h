// Calls that the counting plugin sees as one region.
#ifndef SPARSESEP_FIRMWARE_MEASURED_CALL_H_
#define SPARSESEP_FIRMWARE_MEASURED_CALL_H_

#include "port.h"

typedef SparsesepStatus (*EvalFunction)(const SparsesepHost* host,
                                        const void* op_data);

// eval(host, op_data) between the markers `mov r9, r9` and `mov r10, r10`,
// which compilers never emit. Arguments are in place before the first marker:
// a region holds one call instruction and all that `eval` executes, its
// return included.
SparsesepStatus measured_call(EvalFunction eval, const SparsesepHost* host,
                              const void* op_data);

#endif  // SPARSESEP_FIRMWARE_MEASURED_CALL_H_
