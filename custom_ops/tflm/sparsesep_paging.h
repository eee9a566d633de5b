// SPARSE_FULLY_CONNECTED for models whose weights are pages in an external
// memory (docs/paging.md), in the place of the operator in sparsesep_ops.h.
//
//   bool Fetch(void* context, uint32_t offset, uint32_t bytes,
//              void* destination);
//
//   static const SparsesepExternalMemory memory = {&flash, Fetch};
//   tflite::AddSparseFullyConnected(resolver, &memory);
//
// Add sparsesep_paging.cc to the build of sparsesep_ops.h. It is not linked
// where nothing calls this.
#ifndef SPARSESEP_TFLM_SPARSESEP_PAGING_H_
#define SPARSESEP_TFLM_SPARSESEP_PAGING_H_

#include "external_memory.h"
#include "op_names.h"
#include "tflm/micro_registration.h"

namespace tflite {
namespace micro {

TFLMRegistration* Register_PAGED_FULLY_CONNECTED(
    const SparsesepExternalMemory* memory);

// Layers with weights in the model run as ever, those with pages from `memory`.
// That outlives the interpreters; one that is built after another call uses the
// memory given there.
template <typename Resolver>
TfLiteStatus AddSparseFullyConnected(Resolver& resolver,
                                     const SparsesepExternalMemory* memory) {
  return resolver.AddCustom(SPARSESEP_OP_SPARSE_FULLY_CONNECTED,
                            Register_PAGED_FULLY_CONNECTED(memory));
}

}  // namespace micro

using micro::AddSparseFullyConnected;
using micro::Register_PAGED_FULLY_CONNECTED;

}  // namespace tflite

#endif  // SPARSESEP_TFLM_SPARSESEP_PAGING_H_
