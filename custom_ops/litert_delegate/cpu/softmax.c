// int8 SOFTMAX over the last dimension on the CPU, in TFLM's fixed point.
#include <stdlib.h>

#include "cpu/operation.h"
#include "graph/fixed_point.h"
#include "graph/quantization.h"
#include "sparsesep/requantize.h"

typedef struct Softmax {
  int32_t exps[256];  // by the distance from the row's largest input
  int64_t rows;
  int64_t depth;
} Softmax;

static void* prepare_softmax(const SparsesepCpuPrepare* prepare) {
  const TfLiteSoftmaxParams* params = prepare->operation->parameters;
  const TfLiteTensor* input =
      sparsesep_tensor_of(prepare->context, prepare->operation->inputs, 0);
  Softmax* softmax = calloc(1, sizeof(*softmax));
  if (softmax == NULL) return sparsesep_out_of_memory(prepare->context);
  sparsesep_softmax_table((double)params->beta, (double)input->params.scale,
                          softmax->exps);
  softmax->depth = prepare->input->dims[prepare->input->rank - 1];
  softmax->rows = sparsesep_element_count(prepare->input) / softmax->depth;
  return softmax;
}

static void run_row(const Softmax* softmax, const int8_t* input,
                    int8_t* output) {
  enum { kSumIntegerBits = 12, kOutputBits = 8 };
  int32_t largest = -128;
  for (int64_t i = 0; i < softmax->depth; ++i) {
    if (input[i] > largest) largest = input[i];
  }
  uint32_t sum = 0;
  for (int64_t i = 0; i < softmax->depth; ++i) {
    sum += (uint32_t)sparsesep_rounding_shift(softmax->exps[largest - input[i]],
                                              kSumIntegerBits);
  }
  const int32_t headroom = sum == 0 ? 31 : __builtin_clz(sum);
  const int32_t scale = sparsesep_one_over_one_plus(
      (int32_t)((sum << headroom) - ((uint32_t)1 << 31)));
  const int32_t exponent = kSumIntegerBits - headroom + 31 - kOutputBits;
  for (int64_t i = 0; i < softmax->depth; ++i) {
    const int32_t value = sparsesep_rounding_shift(
        sparsesep_high_product(scale, softmax->exps[largest - input[i]]),
        exponent);
    output[i] = sparsesep_clamp_to_int8(value, -128, -128, 127);
  }
}

static void run_softmax(void* state, SparsesepThreadPool* pool,
                        const SparsesepCpuRun* run) {
  (void)pool;
  const Softmax* softmax = state;
  for (int64_t i = 0; i < softmax->rows; ++i) {
    run_row(softmax, (const int8_t*)run->input + i * softmax->depth,
            (int8_t*)run->output + i * softmax->depth);
  }
}

const SparsesepCpuTable sparsesep_cpu_softmax = {prepare_softmax, run_softmax,
                                                 free};
