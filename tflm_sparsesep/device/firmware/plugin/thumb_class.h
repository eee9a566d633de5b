// Sorts Thumb instructions into the classes of a profile.
#ifndef SPARSESEP_THUMB_CLASS_H_
#define SPARSESEP_THUMB_CLASS_H_

#include <stdint.h>

// Order of the columns that the plugin prints; `emulation.py` names them.
enum {
  CLASS_LOAD = 0,
  CLASS_STORE,
  CLASS_MULTIPLY,  // integer multiplies and multiply-accumulates, DSP included
  CLASS_BRANCH,    // calls, returns by BX, and low-overhead loops included
  CLASS_VECTOR,    // FP and Helium data processing
  CLASS_OTHER,
  CLASS_COUNT,
};

// Class of the instruction whose halfwords are `first` and `second`; `second`
// is ignored for 16-bit instructions. Encodings: Armv8-M Architecture
// Reference Manual (DDI 0553), chapter C2.
int thumb_class(uint16_t first, uint16_t second);

#endif  // SPARSESEP_THUMB_CLASS_H_
