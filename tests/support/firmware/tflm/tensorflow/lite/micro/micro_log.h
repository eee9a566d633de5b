#ifndef TENSORFLOW_LITE_MICRO_MICRO_LOG_H_
#define TENSORFLOW_LITE_MICRO_MICRO_LOG_H_

// Prints a line: %d, %s, and %f as millionths.
void MicroPrintf(const char* format, ...);

#endif  // TENSORFLOW_LITE_MICRO_MICRO_LOG_H_
