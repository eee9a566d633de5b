#include "misbehave.h"

#define SCRATCH_BYTES 20

typedef struct Misbehave {
  int how;
  int scratch_index;
} Misbehave;

void* misbehave_init(const SparsesepHost* host, const void* options,
                     size_t options_bytes) {
  Misbehave* op = host->allocate_persistent(host, sizeof(Misbehave));
  if (op != NULL) op->how = options_bytes == 1 ? *(const uint8_t*)options : -1;
  return op;
}

SparsesepStatus misbehave_prepare(const SparsesepHost* host, void* op_data) {
  Misbehave* op = op_data;
  if (op->how < 0) return SPARSESEP_BAD_OPTIONS;
  return host->request_scratch(host, SCRATCH_BYTES, &op->scratch_index);
}

__attribute__((noinline)) static int overflow_stack(volatile int* above) {
  volatile int frame[64];
  frame[0] = *above + 1;
  if (frame[0] == 0) return 0;  // not before RAM has run out
  return overflow_stack(frame) + frame[0];
}

SparsesepStatus misbehave_eval(const SparsesepHost* host, const void* op_data) {
  const Misbehave* op = op_data;
  volatile int zero = 0;
  switch (op->how) {
    case MISBEHAVE_UNDEFINED_INSTRUCTION:
      __asm__ volatile("udf #0");
      break;
    case MISBEHAVE_BAD_ADDRESS:
      *(volatile uint32_t*)0xf0000000u = 0;
      break;
    case MISBEHAVE_UNALIGNED_LOAD:
      __asm__ volatile("ldr r0, [%0, #0]" : : "l"((uintptr_t)op + 1) : "r0");
      break;
    case MISBEHAVE_STACK_OVERFLOW:
      zero = overflow_stack(&zero);
      break;
    case MISBEHAVE_HANG:
      while (zero == 0) {
      }
      break;
    case MISBEHAVE_OVERRUN:
      ((uint8_t*)host->get_scratch(host, op->scratch_index))[SCRATCH_BYTES] = 0;
      break;
    default:
      return SPARSESEP_UNSUPPORTED;
  }
  return SPARSESEP_OK;
}
