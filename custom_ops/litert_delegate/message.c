#include <stdarg.h>
#include <stdio.h>

#include "message.h"

void sparsesep_delegate_message(const char* format, ...) {
  char line[512];  // one write, so that threads do not mix their lines
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(line, sizeof(line), format, arguments);
  va_end(arguments);
  fprintf(stderr, "sparsesep delegate: %s\n", line);
}

void* sparsesep_out_of_memory(TfLiteContext* context) {
  context->ReportError(context, "sparsesep delegate: out of memory");
  return NULL;
}
