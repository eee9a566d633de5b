#include "sparsesep/compiler.h"
#include "sparsesep/paged_weights.h"

static inline uint32_t add_word(uint32_t checksum, uint32_t word,
                                uint32_t multiplier) {
  return ((checksum << 5 | checksum >> 27) ^ word) * multiplier;
}

uint32_t sparsesep_page_checksum(uint32_t checksum, const uint32_t* words,
                                 uint32_t bytes) {
  uint32_t multiplier = 0x9e3779b9u;
  SPARSESEP_HIDE(multiplier);
  for (const uint32_t* const end = words + bytes / sizeof(*words); words < end;
       words += 4) {
    checksum = add_word(checksum, words[0], multiplier);
    checksum = add_word(checksum, words[1], multiplier);
    checksum = add_word(checksum, words[2], multiplier);
    checksum = add_word(checksum, words[3], multiplier);
  }
  return checksum;
}
