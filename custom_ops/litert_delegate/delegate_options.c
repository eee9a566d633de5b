#include "delegate_options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEFAULT_MAX_THREADS 4

typedef enum OptionKind {
  kSwitch,      // bool: the second of two words
  kNumber,      // int32_t: 1 to `most`
  kPowerOfTwo,  // the same, a power of two
  kText,        // char[SPARSESEP_OPTION_LENGTH]
  kFolder,      // the same, empty or writable
} OptionKind;

typedef struct Option {
  const char* key;
  size_t offset;         // in SparsesepDelegateOptions
  const char* accepted;  // for messages; of a switch, its two words
  OptionKind kind;
  int32_t most;
} Option;

#define AT(field) offsetof(SparsesepDelegateOptions, field)

static const Option known[] = {
    {"backend", AT(use_opencl), "cpu, opencl", kSwitch, 0},
    {"device", AT(device), "at most 255 characters", kText, 0},
    {"precision", AT(half), "fp32, fp16", kSwitch, 0},
    {"cache_dir", AT(cache_dir),
     "a folder that can be written to, at most 255 characters", kFolder, 0},
    {"verbose", AT(verbose), "0, 1", kSwitch, 0},
    {"threads", AT(threads), "1 to 64", kNumber, SPARSESEP_MAX_THREADS},
    {"tune", AT(tune), "0, 1", kSwitch, 0},
    {"lanes", AT(launch.lanes), "a power of two, 1 to 64", kPowerOfTwo,
     SPARSESEP_MAX_LANES},
    {"group_size", AT(launch.group_size), "a power of two, 1 to 1024",
     kPowerOfTwo, SPARSESEP_MAX_GROUP_SIZE},
    {"vectors", AT(launch.vectors), "1, 2, 4, 8", kPowerOfTwo,
     SPARSESEP_MAX_VECTORS},
    {"dense", AT(leave_dense), "tflm, litert", kSwitch, 0},
};
#define OPTION_COUNT (sizeof(known) / sizeof(known[0]))

// `words`: two, separated by ", ".
static bool read_switch(const char* value, const char* words, bool* is_second) {
  const size_t first = strcspn(words, ",");
  *is_second = strcmp(value, words + first + 2) == 0;
  return *is_second ||
         (strlen(value) == first && strncmp(value, words, first) == 0);
}

static bool read_number(const char* value, int32_t most, int32_t* number) {
  char* end;
  const long read = strtol(value, &end, 10);
  if (end == value || *end != '\0' || read < 1 || read > most) return false;
  *number = (int32_t)read;
  return true;
}

static bool read_text(const char* value, char* text) {
  const size_t length = strlen(value);
  if (length >= SPARSESEP_OPTION_LENGTH) return false;
  memcpy(text, value, length + 1);
  return true;
}

static bool read_option(const Option* option, const char* value,
                        SparsesepDelegateOptions* options) {
  void* field = (char*)options + option->offset;
  int32_t* number = field;
  switch (option->kind) {
    case kSwitch:
      return read_switch(value, option->accepted, field);
    case kNumber:
      return read_number(value, option->most, number);
    case kPowerOfTwo:
      return read_number(value, option->most, number) &&
             (*number & (*number - 1)) == 0;
    case kText:
      return read_text(value, field);
    default:  // kFolder
      return read_text(value, field) &&
             (*value == '\0' || access(value, W_OK | X_OK) == 0);
  }
}

static const Option* find_option(const char* key) {
  for (size_t i = 0; i < OPTION_COUNT; ++i) {
    if (strcmp(key, known[i].key) == 0) return &known[i];
  }
  return NULL;
}

static void report_unknown(const char* key, char* message, size_t bytes) {
  int used = snprintf(message, bytes, "option %s is unknown; accepted:", key);
  for (size_t i = 0; i < OPTION_COUNT && (size_t)used < bytes; ++i) {
    used += snprintf(message + used, bytes - (size_t)used, "%s %s",
                     i == 0 ? "" : ",", known[i].key);
  }
}

// Returns what is wrong with options that are valid one by one; NULL: nothing.
static const char* find_contradiction(const SparsesepDelegateOptions* options) {
  if (options->tune && options->cache_dir[0] == '\0') {
    return "option tune=1 needs cache_dir, which keeps what it finds";
  }
  if (options->launch.group_size != 0 &&
      options->launch.lanes > options->launch.group_size) {
    return "option lanes is larger than group_size, which holds them";
  }
  return NULL;
}

bool sparsesep_read_delegate_options(const char* const* keys,
                                     const char* const* values, size_t count,
                                     SparsesepDelegateOptions* options,
                                     char* message, size_t message_bytes) {
  const long cores = sysconf(_SC_NPROCESSORS_ONLN);
  memset(options, 0, sizeof(*options));
  options->threads = cores < 1                     ? 1
                     : cores > DEFAULT_MAX_THREADS ? DEFAULT_MAX_THREADS
                                                   : (int32_t)cores;
  for (size_t i = 0; i < count; ++i) {
    const char* key = keys[i] == NULL ? "" : keys[i];
    const char* value = values[i] == NULL ? "" : values[i];
    const Option* option = find_option(key);
    if (option == NULL) {
      report_unknown(key, message, message_bytes);
      return false;
    }
    if (!read_option(option, value, options)) {
      snprintf(message, message_bytes, "option %s=%s is not accepted: %s", key,
               value, option->accepted);
      return false;
    }
  }
  const char* contradiction = find_contradiction(options);
  if (contradiction == NULL) return true;
  snprintf(message, message_bytes, "%s", contradiction);
  return false;
}
