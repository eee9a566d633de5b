#include "opencl/half.h"

#include <math.h>
#include <string.h>

uint16_t sparsesep_to_half(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof(bits));
  const uint16_t sign = (uint16_t)(bits >> 16 & 0x8000);
  const float magnitude = fabsf(value);
  if (isnan(value)) return 0x7e00;
  if (magnitude == 0.0f) return sign;
  // 65520 is halfway from the largest half to the next step.
  if (magnitude >= 65520.0f) return sign | 0x7c00;
  // Steps of 2^-24 below 2^-14, above of 2^-10 of the power of two.
  int exponent = 0;
  frexpf(magnitude, &exponent);
  const int step = exponent - 1 < -14 ? -24 : exponent - 1 - 10;
  const uint32_t steps = (uint32_t)rintf(ldexpf(magnitude, -step));
  // A mantissa of 2048 carries into the exponent by itself.
  const uint32_t base = step == -24 ? 0 : (uint32_t)(step + 24) << 10;
  return (uint16_t)(sign | (base + steps));
}
