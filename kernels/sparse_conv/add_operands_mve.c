// Helium: 13 instructions for 4 sums.
#include "common/isa.h"
#include "sparse_conv/residual.h"

#if SPARSESEP_HAS_MVE

void sparsesep_add_operands(const SparsesepAddition* addition,
                            const int8_t* wide, const int8_t* narrow,
                            int8_t* out, size_t count) {
  __asm__ volatile(
      "vdup.32 q2, %[multiplier]\n"
      "vmov.i32 q3, #127\n"
      "vmvn.i32 q4, #127\n"  // -128
      "wlstp.32 lr, %[count], 2f\n"
      "1:\n"
      "vldrb.u32 q0, [%[narrow]], #4\n"
      "vldrb.s32 q1, [%[wide]], #4\n"
      "vldrw.u32 q5, [%[table], q0, uxtw #2]\n"
      "vshl.i32 q1, q1, #20\n"
      "vadd.i32 q1, q1, q5\n"
      "vrmulh.s32 q1, q1, q2\n"
      "vshr.s32 q0, q1, #31\n"
      "vadd.i32 q1, q1, q0\n"
      "vadd.i32 q1, q1, %[rounding]\n"
      "vshl.s32 q1, %[shift]\n"
      "vmin.s32 q1, q1, q3\n"
      "vmax.s32 q1, q1, q4\n"
      "vstrb.32 q1, [%[out]], #4\n"
      "letp lr, 1b\n"
      "2:\n"
      : [wide] "+&l"(wide), [narrow] "+&l"(narrow), [out] "+&l"(out)
      : [count] "r"(count), [table] "r"(addition->table),
        [multiplier] "r"(addition->multiplier),
        [rounding] "r"(addition->rounding), [shift] "r"(-addition->shift)
      : "q0", "q1", "q2", "q3", "q4", "q5", "lr", "cc", "memory");
}

#endif
