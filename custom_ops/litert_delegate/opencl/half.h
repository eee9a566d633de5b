// IEEE 754 binary16 from float32, for weights.
#ifndef SPARSESEP_DELEGATE_OPENCL_HALF_H_
#define SPARSESEP_DELEGATE_OPENCL_HALF_H_

#include <stdint.h>

// The nearest half, ties to even; too large becomes infinite.
uint16_t sparsesep_to_half(float value);

#endif  // SPARSESEP_DELEGATE_OPENCL_HALF_H_
