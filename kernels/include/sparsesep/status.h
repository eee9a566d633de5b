// What every fallible call of the kernels and of the op core returns.
#ifndef SPARSESEP_STATUS_H_
#define SPARSESEP_STATUS_H_

#ifdef __cplusplus
extern "C" {
#endif

typedef enum SparsesepStatus {
  SPARSESEP_OK = 0,
  SPARSESEP_BAD_HEADER,     // too short, wrong magic or version
  SPARSESEP_BAD_SHAPE,      // rows, cols or block size outside the legal range
  SPARSESEP_BAD_SECTION,    // a section starts or ends outside the blob
  SPARSESEP_BAD_COUNT,      // group counts disagree with the header
  SPARSESEP_BAD_INDEX,      // an index points outside the matrix
  SPARSESEP_BAD_VALUE,      // multiplier, shift, bias or weight not legal
  SPARSESEP_BAD_OPTIONS,    // custom options: size, version or range
  SPARSESEP_BAD_TENSOR,     // tensors do not fit the packed weights
  SPARSESEP_UNSUPPORTED,    // legal, but no kernel of this build runs it
  SPARSESEP_OUT_OF_MEMORY,  // the host refused a buffer
  SPARSESEP_UNALIGNED,  // the model lies at an address that is no multiple of 4
  SPARSESEP_STATUS_COUNT,
  // Of paged weights alone: their messages are with them, so that no other
  // image carries those (core/pages.h).
  SPARSESEP_FETCH_FAILED,  // the external memory could not be read
  SPARSESEP_BAD_PAGE,      // a page is not the one that the model was made with
} SparsesepStatus;

// One line of text for `status`; never NULL.
const char* sparsesep_status_message(SparsesepStatus status);

#ifdef __cplusplus
}
#endif

#endif  // SPARSESEP_STATUS_H_
