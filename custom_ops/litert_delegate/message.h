// Where the delegate's own messages go.
#ifndef SPARSESEP_DELEGATE_MESSAGE_H_
#define SPARSESEP_DELEGATE_MESSAGE_H_

#include "tflite_abi.h"

// One line to stderr, behind the delegate's name; printf's format, without \n.
__attribute__((format(printf, 1, 2))) void sparsesep_delegate_message(
    const char* format, ...);

// Reports a failed allocation to the runtime; returns NULL.
void* sparsesep_out_of_memory(TfLiteContext* context);

#endif  // SPARSESEP_DELEGATE_MESSAGE_H_
