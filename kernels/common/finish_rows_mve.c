// Requantizes rows of kernels without Helium, by Helium: 17 instructions per 4
// rows.
#include "common/isa.h"
#include "common/requantize_mve.h"

#if SPARSESEP_HAS_MVE

// to[n] = acc[n] + bias[n]
static void add_bias(uint32_t count, const uint32_t* acc, const int32_t* bias,
                     int32_t* to) {
  __asm__ volatile(
      "wlstp.32 lr, %[count], 2f\n"
      "1:\n"
      "vldrw.u32 q0, [%[acc]], #16\n"
      "vldrw.u32 q1, [%[bias]], #16\n"
      "vadd.i32 q0, q0, q1\n"
      "vstrw.32 q0, [%[to]], #16\n"
      "letp lr, 1b\n"
      "2:\n"
      : [acc] "+&r"(acc), [bias] "+&r"(bias), [to] "+&r"(to)
      : [count] "r"(count)
      : "q0", "q1", "lr", "cc", "memory");
}

int8_t* sparsesep_finish_rows(const SparsesepRows* rows, uint32_t first,
                              uint32_t count, const uint32_t* acc,
                              int8_t* out) {
  int32_t biased[SPARSESEP_ROW_PORTION];
  for (uint32_t n = 0; n < count; n += SPARSESEP_ROW_PORTION) {
    const uint32_t portion = sparsesep_portion(count - n);
    add_bias(portion, acc + n, rows->bias + first + n, biased);
    sparsesep_requantize_rows_mve(rows, first + n, portion, biased, out + n);
  }
  return out + count;
}

#endif  // SPARSESEP_HAS_MVE
