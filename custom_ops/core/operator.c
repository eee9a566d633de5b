#include "operator.h"

#include <string.h>

#include "sparsesep/compiler.h"

SPARSESEP_COLD
void* sparsesep_allocate_op(const SparsesepHost* host, size_t bytes) {
  void* const op = host->allocate_persistent(host, bytes);
  return op == NULL ? NULL : memset(op, 0, bytes);
}

SPARSESEP_COLD
SparsesepStatus sparsesep_get_blob(const SparsesepHost* host, const void** blob,
                                   size_t* bytes) {
  SparsesepTensor tensor;
  const SparsesepStatus found =
      host->get_tensor(host, SPARSESEP_SLOT_WEIGHTS, &tensor);
  if (found != SPARSESEP_OK) return found;
  if (tensor.type != SPARSESEP_TENSOR_UINT8 || tensor.data == NULL ||
      tensor.rank != 1 || tensor.dims[0] <= 0) {
    return SPARSESEP_BAD_TENSOR;
  }
  // Kernels read words in place. The file aligns the blob from its start.
  if ((uintptr_t)tensor.data % sizeof(uint32_t) != 0) {
    return SPARSESEP_UNALIGNED;
  }
  *blob = tensor.data;
  *bytes = (size_t)tensor.dims[0];
  return SPARSESEP_OK;
}

SPARSESEP_COLD
SparsesepStatus sparsesep_reserve_scratch(const SparsesepHost* host,
                                          uint64_t bytes, int* scratch_index) {
  *scratch_index = -1;
  if (bytes == 0) return SPARSESEP_OK;
  if (bytes > INT32_MAX) return SPARSESEP_OUT_OF_MEMORY;
  return host->request_scratch(host, (size_t)bytes, scratch_index);
}

SPARSESEP_COLD
SparsesepStatus sparsesep_report(const SparsesepHost* host, const char* op_name,
                                 SparsesepStatus status) {
  if (status != SPARSESEP_OK) {
    host->report(host, op_name, sparsesep_status_message(status));
  }
  return status;
}
