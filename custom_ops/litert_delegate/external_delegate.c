// The two functions that a runtime looks up in an external delegate's library.
#include "delegate.h"

#define EXPORT __attribute__((visibility("default")))

EXPORT TfLiteDelegate* tflite_plugin_create_delegate(
    const char* const* keys, const char* const* values, size_t count,
    void (*report_error)(const char* message));
EXPORT void tflite_plugin_destroy_delegate(TfLiteDelegate* delegate);

// NULL for options that are not accepted; `report_error` gets one line.
TfLiteDelegate* tflite_plugin_create_delegate(
    const char* const* keys, const char* const* values, size_t count,
    void (*report_error)(const char* message)) {
  SparsesepDelegateOptions options;
  char message[512];
  TfLiteDelegate* delegate = NULL;
  if (sparsesep_read_delegate_options(keys, values, count, &options, message,
                                      sizeof(message))) {
    delegate = sparsesep_create_delegate(&options);
    if (delegate != NULL) return delegate;
    if (report_error != NULL) report_error("sparsesep: out of memory");
  } else if (report_error != NULL) {
    report_error(message);
  }
  return NULL;
}

void tflite_plugin_destroy_delegate(TfLiteDelegate* delegate) {
  sparsesep_free_delegate(delegate);
}
