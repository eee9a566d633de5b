// Files and exit of the machine that runs the emulator, through Arm's
// semihosting interface (Arm IHI 0100, "Semihosting for AArch32 and AArch64").
#ifndef SPARSESEP_FIRMWARE_SEMIHOSTING_H_
#define SPARSESEP_FIRMWARE_SEMIHOSTING_H_

#include <stdint.h>

#define SEMIHOSTING_OPEN_READ 1u   // fopen's "rb"
#define SEMIHOSTING_OPEN_WRITE 5u  // fopen's "wb"

// A handle, or -1.
int32_t semihosting_open(const char* name, uint32_t mode);
// 0 where all `bytes` bytes were moved.
int32_t semihosting_read(int32_t handle, void* data, uint32_t bytes);
int32_t semihosting_write(int32_t handle, const void* data, uint32_t bytes);
// To the emulator's standard error.
void semihosting_print(const char* text);
_Noreturn void semihosting_exit(uint32_t code);

#endif  // SPARSESEP_FIRMWARE_SEMIHOSTING_H_
