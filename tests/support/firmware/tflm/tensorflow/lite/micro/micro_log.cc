#include "tensorflow/lite/micro/micro_log.h"

#include <cstdarg>
#include <cstddef>

// semihosting.h is C11.
extern "C" void semihosting_print(const char* text);

namespace {

class Line {
 public:
  void Put(char c) {
    if (length_ + 1 < sizeof(text_)) text_[length_++] = c;
  }
  void Put(const char* text) {
    while (*text != 0) Put(*text++);
  }
  void Put(long long number) {
    if (number < 0) Put('-');
    unsigned long long rest =
        number < 0 ? 0 - static_cast<unsigned long long>(number) : number;
    char digits[24];
    int count = 0;
    do digits[count++] = static_cast<char>('0' + rest % 10);
    while ((rest /= 10) > 0);
    while (count > 0) Put(digits[--count]);
  }
  const char* End() {
    text_[length_] = 0;
    return text_;
  }

 private:
  char text_[256];
  std::size_t length_ = 0;
};

}  // namespace

void MicroPrintf(const char* format, ...) {
  Line line;
  va_list arguments;
  va_start(arguments, format);
  for (const char* at = format; *at != 0; ++at) {
    if (*at != '%') {
      line.Put(*at);
      continue;
    }
    switch (*++at) {
      case 'd':
        line.Put(static_cast<long long>(va_arg(arguments, int)));
        break;
      case 'f':
        line.Put(static_cast<long long>(va_arg(arguments, double) * 1e6));
        line.Put("e-6");
        break;
      case 's':
        line.Put(va_arg(arguments, const char*));
        break;
      default:
        line.Put(*at);
    }
  }
  va_end(arguments);
  line.Put('\n');
  semihosting_print(line.End());
}
