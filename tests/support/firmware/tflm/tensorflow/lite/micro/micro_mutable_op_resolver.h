#ifndef TENSORFLOW_LITE_MICRO_MICRO_MUTABLE_OP_RESOLVER_H_
#define TENSORFLOW_LITE_MICRO_MICRO_MUTABLE_OP_RESOLVER_H_

#include <cstring>

#include "tensorflow/lite/c/common.h"

namespace tflite {

TfLiteRegistration* Register_RESHAPE();

class MicroOpResolver {
 public:
  // The operator of a custom name, or of a builtin code where there is none.
  virtual const TfLiteRegistration* FindOp(const char* name,
                                           int code) const = 0;

 protected:
  ~MicroOpResolver() = default;
};

template <unsigned kOperators>
class MicroMutableOpResolver : public MicroOpResolver {
 public:
  TfLiteStatus AddCustom(const char* name, TfLiteRegistration* registration) {
    return Add({name, 0, registration});
  }
  TfLiteStatus AddReshape() {
    return Add({nullptr, kReshape, Register_RESHAPE()});
  }

  const TfLiteRegistration* FindOp(const char* name, int code) const override {
    for (unsigned i = 0; i < count_; ++i) {
      const Entry& entry = entries_[i];
      const bool same = name == nullptr ? entry.name == nullptr
                                        : entry.name != nullptr &&
                                              !std::strcmp(name, entry.name);
      if (same && (name != nullptr || code == entry.code)) {
        return entry.registration;
      }
    }
    return nullptr;
  }

 private:
  static constexpr int kReshape = 22;
  struct Entry {
    const char* name;
    int code;
    const TfLiteRegistration* registration;
  };

  TfLiteStatus Add(const Entry& entry) {
    if (count_ == kOperators) return kTfLiteError;
    entries_[count_++] = entry;
    return kTfLiteOk;
  }

  Entry entries_[kOperators] = {};
  unsigned count_ = 0;
};

}  // namespace tflite

#endif  // TENSORFLOW_LITE_MICRO_MICRO_MUTABLE_OP_RESOLVER_H_
