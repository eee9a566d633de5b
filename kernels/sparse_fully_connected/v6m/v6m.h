// Pieces of assembly that Armv6-M kernels share.
//
// Those functions are naked: they need all eight low registers, and compilers
// keep r7 for themselves at -O0.
#ifndef SPARSESEP_SPARSE_FULLY_CONNECTED_V6M_V6M_H_
#define SPARSESEP_SPARSE_FULLY_CONNECTED_V6M_V6M_H_

// clang-format off

// What the caller expects to find unchanged, onto the stack and back. gcc takes
// Thumb-1 assembly for the older syntax unless told otherwise.
#define SPARSESEP_V6M_ENTER \
  ".syntax unified\n"       \
  "  push  {r4-r7, lr}\n"   \
  "  mov   r4, r8\n"        \
  "  mov   r5, r9\n"        \
  "  mov   r6, r10\n"       \
  "  mov   r7, r11\n"       \
  "  push  {r4-r7}\n"

#define SPARSESEP_V6M_LEAVE \
  "  pop   {r4-r7}\n"       \
  "  mov   r8, r4\n"        \
  "  mov   r9, r5\n"        \
  "  mov   r10, r6\n"       \
  "  mov   r11, r7\n"       \
  "  pop   {r4-r7, pc}\n"

// The body of `multiply` for blocks with uint8 steps.
//
// BLOCK multiplies one block (or pair of blocks). It finds steps at r7, weights
// at r6, and advances both; sums up in r8 to r11, which start at 0; may use
// r0 to r5. r12 starts as the vector in each group, r0 as 0, r1 as the vector.
// STORE writes the group's sums to r4, and advances it; may use r0 to r3.
// On the stack: streams, vector, groups, acc. lr: where the group's steps end.
#define SPARSESEP_V6M_BLOCKS(BLOCK, STORE) \
  SPARSESEP_V6M_ENTER                      \
  "  push  {r0-r3}\n"                      \
  "  ldr   r7, [r0, #4]\n"                 \
  "  ldr   r6, [r0, #8]\n"                 \
  "1:\n"                                   \
  "  ldr   r2, [sp, #0]\n"                 \
  "  ldr   r1, [r2, #0]\n"                 \
  "  ldrh  r3, [r1]\n"                     \
  "  adds  r1, #2\n"                       \
  "  str   r1, [r2, #0]\n"                 \
  "  adds  r3, r3, r7\n"                   \
  "  mov   lr, r3\n"                       \
  "  ldr   r1, [sp, #4]\n"                 \
  "  mov   r12, r1\n"                      \
  "  movs  r0, #0\n"                       \
  "  mov   r8, r0\n"                       \
  "  mov   r9, r0\n"                       \
  "  mov   r10, r0\n"                      \
  "  mov   r11, r0\n"                      \
  "  b     3f\n"                           \
  "2:\n"                                   \
  BLOCK                                    \
  "3:\n"                                   \
  "  cmp   r7, lr\n"                       \
  "  bne   2b\n"                           \
  "  ldr   r4, [sp, #12]\n"                \
  STORE                                    \
  "  str   r4, [sp, #12]\n"                \
  "  ldr   r0, [sp, #8]\n"                 \
  "  subs  r0, #1\n"                       \
  "  str   r0, [sp, #8]\n"                 \
  "  beq   4f\n"                           \
  "  b     1b\n"                           \
  "4:\n"                                   \
  "  pop   {r0-r3}\n"                      \
  "  str   r7, [r0, #4]\n"                 \
  "  str   r6, [r0, #8]\n"                 \
  SPARSESEP_V6M_LEAVE

// Moves r12 by the next step, in units of 2^SHIFT columns; copies it to r5.
#define SPARSESEP_V6M_STEP(SHIFT) \
  "  ldrb  r5, [r7]\n"            \
  "  adds  r7, #1\n"              \
  "  lsls  r5, r5, #" SHIFT "\n"  \
  "  add   r12, r5\n"             \
  "  mov   r5, r12\n"

// Four inputs from r5 on to r0..r3.
#define SPARSESEP_V6M_INPUTS(A, B, C, D) \
  "  ldrb  r0, [r5, #" A "]\n"           \
  "  ldrb  r1, [r5, #" B "]\n"           \
  "  ldrb  r2, [r5, #" C "]\n"           \
  "  ldrb  r3, [r5, #" D "]\n"           \
  "  sxtb  r0, r0\n"                     \
  "  sxtb  r1, r1\n"                     \
  "  sxtb  r2, r2\n"                     \
  "  sxtb  r3, r3\n"

// Four weights by r0..r3. A word brings them: its outer bytes come first, then,
// with neighbors swapped by rev16, the inner ones. Spoils r4 and r5.
#define SPARSESEP_V6M_ROW(ACC) \
  "  ldmia r6!, {r4}\n"        \
  "  sxtb  r5, r4\n"           \
  "  muls  r5, r0, r5\n"       \
  "  add   " ACC ", r5\n"      \
  "  asrs  r5, r4, #24\n"      \
  "  muls  r5, r3, r5\n"       \
  "  add   " ACC ", r5\n"      \
  "  rev16 r4, r4\n"           \
  "  sxtb  r5, r4\n"           \
  "  muls  r5, r1, r5\n"       \
  "  add   " ACC ", r5\n"      \
  "  asrs  r4, r4, #24\n"      \
  "  muls  r4, r2, r4\n"       \
  "  add   " ACC ", r4\n"

#define SPARSESEP_V6M_STORE_1 \
  "  mov   r0, r8\n"          \
  "  stmia r4!, {r0}\n"

#define SPARSESEP_V6M_STORE_2 \
  "  mov   r0, r8\n"          \
  "  mov   r1, r9\n"          \
  "  stmia r4!, {r0, r1}\n"

#define SPARSESEP_V6M_STORE_4 \
  "  mov   r0, r8\n"          \
  "  mov   r1, r9\n"          \
  "  mov   r2, r10\n"         \
  "  mov   r3, r11\n"         \
  "  stmia r4!, {r0-r3}\n"

// clang-format on

#endif  // SPARSESEP_SPARSE_FULLY_CONNECTED_V6M_V6M_H_
