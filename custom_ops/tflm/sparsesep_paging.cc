#include "tflm/sparsesep_paging.h"

#include "core/paged_fully_connected_op.h"
#include "core/paged_sparse_conv_2d_op.h"
#include "tflm/micro_host.h"

namespace tflite {
namespace micro {
namespace {

// TFLM gives Init nothing of the application's.
const SparsesepExternalMemory* external_memory = nullptr;

void* Init(const SparsesepHost* host, const void* options,
           size_t options_bytes) {
  return sparsesep_paged_fully_connected_init(host, options, options_bytes,
                                              external_memory);
}

void* InitConv(const SparsesepHost* host, const void* options,
               size_t options_bytes) {
  return sparsesep_paged_sparse_conv_init(host, options, options_bytes,
                                          external_memory);
}

}  // namespace

TFLMRegistration* Register_PAGED_FULLY_CONNECTED(
    const SparsesepExternalMemory* memory) {
  external_memory = memory;
  return RegisterSparsesepOp<void, Init,
                             sparsesep_paged_fully_connected_prepare,
                             sparsesep_paged_fully_connected_eval>();
}

TFLMRegistration* Register_PAGED_SPARSE_CONV_2D(
    const SparsesepExternalMemory* memory) {
  external_memory = memory;
  return RegisterSparsesepOp<void, InitConv,
                             sparsesep_paged_sparse_conv_prepare,
                             sparsesep_paged_sparse_conv_eval>();
}

}  // namespace micro
}  // namespace tflite
