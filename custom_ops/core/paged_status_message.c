#include "paged_status_message.h"

#include "sparsesep/compiler.h"

SPARSESEP_COLD
const char* sparsesep_paged_status_message(SparsesepStatus status) {
  if (status == SPARSESEP_FETCH_FAILED) return "cannot read external memory";
  if (status == SPARSESEP_BAD_PAGE) {
    return "external memory holds other weights than the model was made with";
  }
  return sparsesep_status_message(status);
}
