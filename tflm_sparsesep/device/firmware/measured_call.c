#include "measured_call.h"

// In assembly, so that the compiler can move nothing across the markers.
__attribute__((naked, noinline)) SparsesepStatus
measured_call(EvalFunction eval __attribute__((unused)),
              const SparsesepHost* host __attribute__((unused)),
              const void* op_data __attribute__((unused))) {
  __asm__ volatile(
      "push {r4, lr}\n\t"
      "mov r3, r0\n\t"
      "mov r0, r1\n\t"
      "mov r1, r2\n\t"
      "mov r9, r9\n\t"
      "blx r3\n\t"
      "mov r10, r10\n\t"
      "pop {r4, pc}");
}
