// The delegate: claims operators of a model and hands them to its backends.
#ifndef SPARSESEP_DELEGATE_DELEGATE_H_
#define SPARSESEP_DELEGATE_DELEGATE_H_

#include "delegate_options.h"
#include "tflite_abi.h"

// NULL if memory runs out. Without OpenCL the CPU backend takes over, with
// one message.
TfLiteDelegate* sparsesep_create_delegate(
    const SparsesepDelegateOptions* options);

void sparsesep_free_delegate(TfLiteDelegate* delegate);

#endif  // SPARSESEP_DELEGATE_DELEGATE_H_
