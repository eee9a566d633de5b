// COUNTER_CHECK: an operator that executes a number of instructions known
// from its assembly, to prove that the plugin counts exactly.
#ifndef SPARSESEP_FIRMWARE_COUNTER_CHECK_H_
#define SPARSESEP_FIRMWARE_COUNTER_CHECK_H_

#include <stddef.h>

#include "port.h"

#define COUNTER_CHECK_NAME "COUNTER_CHECK"

// `options`: one little-endian uint32, the loop count n >= 1.
void* counter_check_init(const SparsesepHost* host, const void* options,
                         size_t options_bytes);
SparsesepStatus counter_check_prepare(const SparsesepHost* host, void* op_data);

// Executes
//   everywhere     4 + 4 n + 600: load, move, the loop (store, multiply,
//                  subtract, branch), straight 16-bit code, move, return;
//   from Armv7-M   1205 more: straight 32-bit code at both halfword offsets,
//                  so that some of it straddles a page end, and an IT block;
//   with Helium    4 + 2 n more: a low-overhead loop of one vector add.
// `emulation.check_counter` knows these numbers. The output stays as it was.
SparsesepStatus counter_check_eval(const SparsesepHost* host,
                                   const void* op_data);

#endif  // SPARSESEP_FIRMWARE_COUNTER_CHECK_H_
