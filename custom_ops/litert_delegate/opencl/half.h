// Converts float32 weights to IEEE 754 binary16.
#ifndef SPARSESEP_DELEGATE_OPENCL_HALF_H_
#define SPARSESEP_DELEGATE_OPENCL_HALF_H_

#include <stdint.h>

// Rounds to nearest, ties to even; overflow becomes infinite.
uint16_t sparsesep_to_half(float value);

#endif  // SPARSESEP_DELEGATE_OPENCL_HALF_H_
