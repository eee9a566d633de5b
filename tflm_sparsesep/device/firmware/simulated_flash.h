// An external memory on the emulated board: a block of RAM behind a fetch
// function that counts, takes its time and fails on demand.
#ifndef SPARSESEP_FIRMWARE_SIMULATED_FLASH_H_
#define SPARSESEP_FIRMWARE_SIMULATED_FLASH_H_

#include "job.h"
#include "measured_call.h"
#include "port.h"

// Fills it with `image`, which outlives it. Counts go to `result`.
void simulated_flash_open(const FirmwareFlash* settings, const uint8_t* image,
                          FirmwareResult* result);

// SPARSE_FULLY_CONNECTED with its weights in that memory: the three functions
// of an operator (see core/paged_fully_connected_op.h).
void* simulated_flash_init(const SparsesepHost* host, const void* options,
                           size_t options_bytes);
SparsesepStatus simulated_flash_eval(const SparsesepHost* host,
                                     const void* op_data);

// The same of SPARSE_CONV_2D (core/paged_sparse_conv_2d_op.h).
void* simulated_flash_conv_init(const SparsesepHost* host, const void* options,
                                size_t options_bytes);
SparsesepStatus simulated_flash_conv_eval(const SparsesepHost* host,
                                          const void* op_data);

#endif  // SPARSESEP_FIRMWARE_SIMULATED_FLASH_H_
