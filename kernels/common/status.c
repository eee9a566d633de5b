#include "sparsesep/status.h"

#include "sparsesep/compiler.h"

// One after the other, in the order of SparsesepStatus; a table of pointers
// would take more flash.
static const char messages[] =
    "ok\0"
    "not packed weights of version 1\0"
    "illegal rows, cols or block\0"
    "a section lies outside the blob\0"
    "block counts disagree\0"
    "an index lies outside the matrix\0"
    "illegal multiplier or shift\0"
    "illegal custom options\0"
    "tensors do not fit the weights\0"
    "no kernel of this build runs these packed weights\0"
    "out of memory\0"
    "weights are not 4-byte aligned: put alignas(16) before the model array\0"
    "unknown status";
_Static_assert(SPARSESEP_STATUS_COUNT == 12, "a message each, one for others");

SPARSESEP_COLD
const char* sparsesep_status_message(SparsesepStatus status) {
  unsigned number = (unsigned)status;
  if (number > SPARSESEP_STATUS_COUNT) number = SPARSESEP_STATUS_COUNT;
  const char* message = messages;
  for (; number > 0; --number) {
    while (*message++ != 0) {
    }
  }
  return message;
}
