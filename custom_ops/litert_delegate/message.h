// Messages and errors of the delegate.
#ifndef SPARSESEP_DELEGATE_MESSAGE_H_
#define SPARSESEP_DELEGATE_MESSAGE_H_

#include "tflite_abi.h"

// Prints one line to stderr, prefixed with the delegate's name. `format` is
// printf's, without \n.
__attribute__((format(printf, 1, 2))) void sparsesep_delegate_message(
    const char* format, ...);

// Reports a failed allocation to the runtime; returns NULL.
void* sparsesep_out_of_memory(TfLiteContext* context);

#endif  // SPARSESEP_DELEGATE_MESSAGE_H_
