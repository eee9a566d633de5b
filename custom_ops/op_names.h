// Names of the custom operators in a .tflite file.
#ifndef SPARSESEP_OP_NAMES_H_
#define SPARSESEP_OP_NAMES_H_

#define SPARSESEP_OP_SPARSE_FULLY_CONNECTED "SPARSE_FULLY_CONNECTED"

#endif  // SPARSESEP_OP_NAMES_H_
