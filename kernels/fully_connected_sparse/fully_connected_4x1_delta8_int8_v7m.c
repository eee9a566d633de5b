// 4x1 blocks in pairs, uint8 steps, int8 values: Armv7-M.
//
// 3 instructions a weight: load, mla, and 8 for each pair's steps, inputs and
// loop.
#include "isa.h"
#include "row_groups.h"
#include "v7m.h"
#include "variants.h"

#if SPARSESEP_HAS_V7M

// clang-format off

static void multiply(SparsesepRowStreams* streams, const int8_t* vector,
                     uint32_t groups, uint32_t* acc) {
  const uint8_t* step = streams->index;
  const int8_t* value = streams->value;
  for (; groups > 0; --groups) {
    const uint8_t* const end = step + *streams->counts++;
    const int8_t* x = vector;
    uint32_t acc0 = 0, acc1 = 0, acc2 = 0, acc3 = 0;
    int32_t a, b, w;
    __asm__ volatile(
        "  b     2f\n"
        "1:\n"
        "  ldrb  %[b], [%[step], #1]\n"
        "  ldrb  %[a], [%[step]], #2\n"
        "  add   %[x], %[x], %[a]\n"
        "  ldrsb %[a], [%[x]]\n"
        "  add   %[x], %[x], %[b]\n"
        "  ldrsb %[b], [%[x]]\n"
        SPARSESEP_V7M_WEIGHT("acc0", "a")
        SPARSESEP_V7M_WEIGHT("acc1", "a")
        SPARSESEP_V7M_WEIGHT("acc0", "b")
        SPARSESEP_V7M_WEIGHT("acc1", "b")
        SPARSESEP_V7M_WEIGHT("acc2", "a")
        SPARSESEP_V7M_WEIGHT("acc3", "a")
        SPARSESEP_V7M_WEIGHT("acc2", "b")
        SPARSESEP_V7M_WEIGHT("acc3", "b")
        "2:\n"
        "  cmp   %[step], %[end]\n"
        "  bne   1b\n"
        : [step] "+r"(step), [value] "+r"(value), [x] "+r"(x),
          [acc0] "+r"(acc0), [acc1] "+r"(acc1), [acc2] "+r"(acc2),
          [acc3] "+r"(acc3), [a] "=&r"(a), [b] "=&r"(b), [w] "=&r"(w)
        : [end] "r"(end)
        : "cc", "memory");
    *acc++ = acc0;
    *acc++ = acc1;
    *acc++ = acc2;
    *acc++ = acc3;
  }
  streams->index = step;
  streams->value = value;
}

// clang-format on

void sparsesep_fully_connected_4x1_delta8_int8_v7m(
    const SparsesepPackedHeader* weights,
    const SparsesepFullyConnectedParams* params, const void* input,
    int32_t batch, void* output, void* scratch) {
  sparsesep_run_row_groups(weights, params, input, batch, output, scratch,
                           multiply);
}

#endif
