// Sums and products of two int8 tensors (kernels/opencl/arithmetic.cl).
#ifndef SPARSESEP_DELEGATE_OPENCL_OPERATORS_ARITHMETIC_H_
#define SPARSESEP_DELEGATE_OPENCL_OPERATORS_ARITHMETIC_H_

#include "graph/quantization.h"
#include "opencl/operation.h"

typedef struct SparsesepMultiplier {
  int32_t multiplier;  // Q0.31
  int32_t shift;       // to the left
} SparsesepMultiplier;

// `numbers` of the kernels, in their order.
typedef struct SparsesepArithmetic {
  int32_t zero_points[3];  // of both operands and of the output
  SparsesepLimits limits;
  // Of both operands and of their sum; of the product alone.
  SparsesepMultiplier multipliers[3];
} SparsesepArithmetic;

// Adds the kernel that writes the node's output, which may be an operand of the
// same shape.
void sparsesep_add_int8_arithmetic(
    const SparsesepOpenclNode* node, const char* kernel,
    const SparsesepPartitionTensor* const operands[2],
    const SparsesepArithmetic* numbers);

#endif  // SPARSESEP_DELEGATE_OPENCL_OPERATORS_ARITHMETIC_H_
