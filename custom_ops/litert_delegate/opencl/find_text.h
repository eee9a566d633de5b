#ifndef SPARSESEP_DELEGATE_OPENCL_FIND_TEXT_H_
#define SPARSESEP_DELEGATE_OPENCL_FIND_TEXT_H_

#include <stdbool.h>
#include <string.h>
#include <strings.h>

// Searches `part` in `text`, ignoring case.
static inline bool sparsesep_contains(const char* text, const char* part) {
  const size_t length = strlen(part);
  for (; strlen(text) >= length; ++text) {
    if (strncasecmp(text, part, length) == 0) return true;
  }
  return false;
}

#endif  // SPARSESEP_DELEGATE_OPENCL_FIND_TEXT_H_
