#include "sparsesep/status.h"

#include "sparsesep/compiler.h"

SPARSESEP_COLD
const char* sparsesep_status_message(SparsesepStatus status) {
  switch (status) {
    case SPARSESEP_OK:
      return "ok";
    case SPARSESEP_BAD_HEADER:
      return "packed weights: not a version 1 blob";
    case SPARSESEP_BAD_SHAPE:
      return "packed weights: illegal rows, cols or block shape";
    case SPARSESEP_BAD_SECTION:
      return "packed weights: a section lies outside the blob";
    case SPARSESEP_BAD_COUNT:
      return "packed weights: group counts disagree with the header";
    case SPARSESEP_BAD_INDEX:
      return "packed weights: an index points outside the matrix";
    case SPARSESEP_BAD_VALUE:
      return "packed weights: illegal multiplier or shift";
    case SPARSESEP_BAD_OPTIONS:
      return "custom options: wrong size, version or range";
    case SPARSESEP_BAD_TENSOR:
      return "tensor types or shapes do not fit the packed weights";
    case SPARSESEP_UNSUPPORTED:
      return "no kernel of this build runs these packed weights";
    case SPARSESEP_OUT_OF_MEMORY:
      return "the host has no memory left";
    case SPARSESEP_STATUS_COUNT:
      break;
  }
  return "unknown status";
}
