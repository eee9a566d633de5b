// MISBEHAVE: an operator whose eval goes wrong in a chosen way, to prove that
// the firmware and the host notice. `options`: one byte, MISBEHAVE_*.
#ifndef SPARSESEP_FIRMWARE_MISBEHAVE_H_
#define SPARSESEP_FIRMWARE_MISBEHAVE_H_

#include <stddef.h>

#include "port.h"

#define MISBEHAVE_NAME "MISBEHAVE"

enum {
  MISBEHAVE_UNDEFINED_INSTRUCTION = 0,
  MISBEHAVE_BAD_ADDRESS = 1,
  MISBEHAVE_UNALIGNED_LOAD = 2,  // harmless from Armv7-M on
  MISBEHAVE_STACK_OVERFLOW = 3,
  MISBEHAVE_HANG = 4,
  MISBEHAVE_OVERRUN = 5,  // writes one byte behind its scratch buffer
  MISBEHAVE_FAIL = 6,     // eval returns a status
};

void* misbehave_init(const SparsesepHost* host, const void* options,
                     size_t options_bytes);
SparsesepStatus misbehave_prepare(const SparsesepHost* host, void* op_data);
SparsesepStatus misbehave_eval(const SparsesepHost* host, const void* op_data);

#endif  // SPARSESEP_FIRMWARE_MISBEHAVE_H_
