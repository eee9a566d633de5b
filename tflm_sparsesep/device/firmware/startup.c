// From reset to main, and what happens on a fault. One file for every
// Cortex-M: what differs is decided by the compiler's feature macros.
#include <stdint.h>
#include <string.h>

#include "semihosting.h"

#define SCB_CCR (*(volatile uint32_t*)0xe000ed14u)
#define SCB_CFSR (*(volatile uint32_t*)0xe000ed28u)
#define SCB_CPACR (*(volatile uint32_t*)0xe000ed88u)
#define FPU_FPCCR (*(volatile uint32_t*)0xe000ef34u)

#define MPU_TYPE (*(volatile uint32_t*)0xe000ed90u)
#define MPU_CTRL (*(volatile uint32_t*)0xe000ed94u)
#define MPU_RNR (*(volatile uint32_t*)0xe000ed98u)
#define MPU_RBAR (*(volatile uint32_t*)0xe000ed9cu)
#define MPU_RASR (*(volatile uint32_t*)0xe000eda0u)

#define CCR_UNALIGN_TRP (1u << 3)
#define CCR_LOW_OVERHEAD_BRANCHES (1u << 19)
#define CFSR_STKOF (1u << 20)
#define CPACR_CP10_CP11_FULL (0xfu << 20)  // FPU and Helium

#define FPCCR_AUTOMATIC_STATE_SAVING (3u << 30)

#define MPU_CTRL_ENABLE_WITH_BACKGROUND 5u
#define MPU_RASR_1K_NO_ACCESS (9u << 1 | 1u)

#define FAULT_EXIT_CODE 3

// Exception frame: r0-r3, r12, lr, pc, xpsr.
#define FRAME_WORDS 8
#define FRAME_PC 6

extern uint32_t __stack_guard[], __stack_bottom[], __stack_top[];
extern uint8_t __bss_start[], __bss_end[];

int main(void);

static void enable_core_features(void) {
#if defined(__ARM_FP) || defined(__ARM_FEATURE_MVE)
  SCB_CPACR |= CPACR_CP10_CP11_FULL;
  // No FP state is saved on exceptions: the only one ends the program, and
  // saving lazily would write to the overflown stack that raised it.
  FPU_FPCCR &= ~FPCCR_AUTOMATIC_STATE_SAVING;
  __asm__ volatile("dsb\n\tisb" ::: "memory");
#endif
#if defined(__ARM_FEATURE_MVE)
  SCB_CCR |= CCR_LOW_OVERHEAD_BRANCHES;
#endif
#if !defined(__ARM_FEATURE_UNALIGNED)
  // Armv6-M code on an Armv7-M board: fault where the true core would.
  SCB_CCR |= CCR_UNALIGN_TRP;
#endif
}

// Armv8-M checks the stack pointer itself. Below the RAM of the Armv7-M boards
// the emulator swallows writes: there the MPU refuses the first KiB. A true
// Cortex-M0 has no MPU, but below its RAM nothing is mapped.
static void guard_stack(void) {
#if __ARM_ARCH >= 8
  __asm__ volatile("msr msplim, %0" : : "r"(__stack_bottom));
#else
  if (MPU_TYPE == 0) return;
  MPU_RNR = 0;
  MPU_RBAR = (uint32_t)__stack_guard;
  MPU_RASR = MPU_RASR_1K_NO_ACCESS;
  MPU_CTRL = MPU_CTRL_ENABLE_WITH_BACKGROUND;
  __asm__ volatile("dsb\n\tisb" ::: "memory");
#endif
}

// .data needs no copy: the emulator's loader puts it where it belongs.
void reset_handler(void) {
  enable_core_features();
  guard_stack();
  memset(__bss_start, 0, (size_t)(__bss_end - __bss_start));
  semihosting_exit((uint32_t)main());
}

static void print_hex(const char* label, uint32_t value) {
  char text[] = "0x00000000";
  for (int i = 9; i > 1; --i, value >>= 4) {
    text[i] = "0123456789abcdef"[value & 15];
  }
  semihosting_print(label);
  semihosting_print(text);
}

static int stack_overflowed(const uint32_t* frame) {
#if __ARM_ARCH >= 8
  if (SCB_CFSR & CFSR_STKOF) return 1;
#endif
  return frame < __stack_bottom || frame + FRAME_WORDS > __stack_top;
}

// Runs on a fresh stack; `frame` is the stack pointer of the crash.
__attribute__((used)) _Noreturn static void report_fault(
    const uint32_t* frame) {
  if (stack_overflowed(frame)) {
    print_hex("fault, stack overflow: sp=", (uint32_t)frame);
  } else {
    print_hex("fault at pc=", frame[FRAME_PC]);
  }
#if __ARM_ARCH >= 7
  print_hex(" cfsr=", SCB_CFSR);
#endif
  semihosting_print("\n");
  semihosting_exit(FAULT_EXIT_CODE);
}

__attribute__((naked)) void fault_handler(void) {
  __asm__ volatile(
      "mrs r0, msp\n\t"
      "ldr r1, =__stack_top\n\t"
      "msr msp, r1\n\t"
      "bl report_fault\n\t"
      ".ltorg");
}

typedef void (*Handler)(void);

// Every exception is a fault: nothing enables an interrupt, SysTick is off.
__attribute__((section(".vectors"), used)) static const struct {
  uint32_t* stack_top;
  Handler handlers[15];
} vectors = {
    __stack_top,
    {reset_handler, fault_handler, fault_handler, fault_handler, fault_handler,
     fault_handler, fault_handler, fault_handler, fault_handler, fault_handler,
     fault_handler, fault_handler, fault_handler, fault_handler, fault_handler},
};
