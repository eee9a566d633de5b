// Pieces of assembly that Armv7-M kernels share. Operands: w (weight), value.
#ifndef SPARSESEP_SPARSE_FULLY_CONNECTED_V7M_V7M_H_
#define SPARSESEP_SPARSE_FULLY_CONNECTED_V7M_V7M_H_

// clang-format off

// Multiplies the next weight of the stream by input `x`.
#define SPARSESEP_V7M_WEIGHT(acc, x)                \
  "  ldrsb %[w], [%[value]], #1\n"                  \
  "  mla   %[" acc "], %[w], %[" x "], %[" acc "]\n"

// One row of a block: the next four weights by inputs x0 to x3.
#define SPARSESEP_V7M_ROW(acc)    \
  SPARSESEP_V7M_WEIGHT(acc, "x0") \
  SPARSESEP_V7M_WEIGHT(acc, "x1") \
  SPARSESEP_V7M_WEIGHT(acc, "x2") \
  SPARSESEP_V7M_WEIGHT(acc, "x3")

// All blocks of a group, 4 columns wide, from the step at `step` to `end`.
#define SPARSESEP_V7M_BLOCKS(ROWS)     \
  "  b     2f\n"                       \
  "1:\n"                               \
  "  ldrb  %[w], [%[step]], #1\n"      \
  "  add   %[x], %[x], %[w], lsl #2\n" \
  "  ldrsb %[x0], [%[x], #0]\n"        \
  "  ldrsb %[x1], [%[x], #1]\n"        \
  "  ldrsb %[x2], [%[x], #2]\n"        \
  "  ldrsb %[x3], [%[x], #3]\n"        \
  ROWS                                 \
  "2:\n"                               \
  "  cmp   %[step], %[end]\n"          \
  "  bne   1b\n"

// clang-format on

#endif  // SPARSESEP_SPARSE_FULLY_CONNECTED_V7M_V7M_H_
