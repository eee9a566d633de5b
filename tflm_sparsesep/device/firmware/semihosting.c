#include "semihosting.h"

#include <string.h>

enum {
  SYS_OPEN = 0x01,
  SYS_WRITE0 = 0x04,
  SYS_WRITE = 0x05,
  SYS_READ = 0x06,
  SYS_EXIT_EXTENDED = 0x20,
};

#define ADP_STOPPED_APPLICATION_EXIT 0x20026u

static int32_t semihosting_call(uint32_t operation, const void* argument) {
  register uint32_t r0 __asm__("r0") = operation;
  register const void* r1 __asm__("r1") = argument;
  __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
  return (int32_t)r0;
}

int32_t semihosting_open(const char* name, uint32_t mode) {
  const uint32_t block[] = {(uint32_t)name, mode, strlen(name)};
  return semihosting_call(SYS_OPEN, block);
}

int32_t semihosting_read(int32_t handle, void* data, uint32_t bytes) {
  if (bytes == 0) return 0;
  const uint32_t block[] = {(uint32_t)handle, (uint32_t)data, bytes};
  return semihosting_call(SYS_READ, block);
}

int32_t semihosting_write(int32_t handle, const void* data, uint32_t bytes) {
  if (bytes == 0) return 0;
  const uint32_t block[] = {(uint32_t)handle, (uint32_t)data, bytes};
  return semihosting_call(SYS_WRITE, block);
}

void semihosting_print(const char* text) { semihosting_call(SYS_WRITE0, text); }

_Noreturn void semihosting_exit(uint32_t code) {
  const uint32_t block[] = {ADP_STOPPED_APPLICATION_EXIT, code};
  for (;;) semihosting_call(SYS_EXIT_EXTENDED, block);
}
