// SPARSE_FULLY_CONNECTED and SPARSE_CONV_2D for models whose weights are pages
// in an external memory (docs/paging.md), in the place of the operators in
// sparsesep_ops.h.
//
//   bool Fetch(void* context, uint32_t offset, uint32_t bytes,
//              void* destination);
//
//   static const SparsesepExternalMemory memory = {&flash, Fetch};
//   tflite::AddSparseFullyConnected(resolver, &memory);
//   tflite::AddSparseConv2D(resolver, &memory);
//
// Add sparsesep_paging.cc to the build of sparsesep_ops.h. What nothing calls
// is not linked.
#ifndef SPARSESEP_TFLM_SPARSESEP_PAGING_H_
#define SPARSESEP_TFLM_SPARSESEP_PAGING_H_

#include "external_memory.h"
#include "op_names.h"
#include "tflm/micro_registration.h"

namespace tflite {
namespace micro {

TFLMRegistration* Register_PAGED_FULLY_CONNECTED(
    const SparsesepExternalMemory* memory);
TFLMRegistration* Register_PAGED_SPARSE_CONV_2D(
    const SparsesepExternalMemory* memory);

// Layers with weights in the model run as ever, those with pages from `memory`.
// That outlives the interpreters; one that is built after another call uses the
// memory given there: both operators have the same.
template <typename Resolver>
TfLiteStatus AddSparseFullyConnected(Resolver& resolver,
                                     const SparsesepExternalMemory* memory) {
  return resolver.AddCustom(SPARSESEP_OP_SPARSE_FULLY_CONNECTED,
                            Register_PAGED_FULLY_CONNECTED(memory));
}

template <typename Resolver>
TfLiteStatus AddSparseConv2D(Resolver& resolver,
                             const SparsesepExternalMemory* memory) {
  return resolver.AddCustom(SPARSESEP_OP_SPARSE_CONV_2D,
                            Register_PAGED_SPARSE_CONV_2D(memory));
}

}  // namespace micro

using micro::AddSparseConv2D;
using micro::AddSparseFullyConnected;
using micro::Register_PAGED_FULLY_CONNECTED;
using micro::Register_PAGED_SPARSE_CONV_2D;

}  // namespace tflite

#endif  // SPARSESEP_TFLM_SPARSESEP_PAGING_H_
