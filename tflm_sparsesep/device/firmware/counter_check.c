#include "counter_check.h"

#include <string.h>

typedef struct CounterCheck {
  uint32_t loops;
  uint32_t sink;  // what the loop stores to
} CounterCheck;

void* counter_check_init(const SparsesepHost* host, const void* options,
                         size_t options_bytes) {
  CounterCheck* check = host->allocate_persistent(host, sizeof(CounterCheck));
  if (check == NULL) return NULL;
  check->loops = 0;
  if (options_bytes == sizeof(check->loops)) {
    memcpy(&check->loops, options, sizeof(check->loops));
  }
  return check;
}

SparsesepStatus counter_check_prepare(const SparsesepHost* host,
                                      void* op_data) {
  const CounterCheck* check = op_data;
  if (check->loops > 0) return SPARSESEP_OK;
  host->report(host, COUNTER_CHECK_NAME,
               "options must be one uint32, the loop count, at least 1");
  return SPARSESEP_BAD_OPTIONS;
}

// Straight runs are longer than QEMU's pages (1 KiB on Cortex-M).
#define STRAIGHT_16 ".rept 600\n\tmovs r3, #1\n\t.endr\n\t"
#define STRAIGHT_32 ".rept 600\n\tmov.w r3, #1\n\t.endr\n\t"

__attribute__((naked)) SparsesepStatus
counter_check_eval(const SparsesepHost* host __attribute__((unused)),
                   const void* op_data __attribute__((unused))) {
  __asm__ volatile(
      "ldr r2, [r1]\n\t"
      "movs r3, #3\n"
      "1:\n\t"
      "str r2, [r1, #4]\n\t"
      "muls r3, r2, r3\n\t"
      "subs r2, r2, #1\n\t"
      "bne 1b\n\t" STRAIGHT_16
#if __ARM_ARCH >= 7
      STRAIGHT_32 "nop\n\t" STRAIGHT_32
      "cmp r3, #0\n\t"
      "ite eq\n\t"
      "moveq r3, #1\n\t"
      "movne r3, #2\n\t"
#endif
#if defined(__ARM_FEATURE_MVE)
      "ldr r2, [r1]\n\t"
      "mov r12, lr\n\t"
      "dls lr, r2\n"
      "2:\n\t"
      "vadd.i32 q0, q0, q0\n\t"
      "le lr, 2b\n\t"
      "mov lr, r12\n\t"
#endif
      "movs r0, #0\n\t"
      "bx lr");
}
