#ifndef SPARSESEP_PAGED_STATUS_MESSAGE_H_
#define SPARSESEP_PAGED_STATUS_MESSAGE_H_

#include "sparsesep/status.h"

#ifdef __cplusplus
extern "C" {
#endif

// sparsesep_status_message() with the states of paged weights.
const char* sparsesep_paged_status_message(SparsesepStatus status);

#ifdef __cplusplus
}
#endif

#endif  // SPARSESEP_PAGED_STATUS_MESSAGE_H_
