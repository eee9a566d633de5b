#include "delegate_options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEFAULT_MAX_THREADS 4

// The number of `value` in a list of words that ends with NULL, or -1.
static int word_number(const char* value, const char* const* words) {
  for (int i = 0; words[i] != NULL; ++i) {
    if (strcmp(value, words[i]) == 0) return i;
  }
  return -1;
}

static bool read_text(const char* value, char* text) {
  const size_t length = strlen(value);
  if (length >= SPARSESEP_OPTION_LENGTH) return false;
  memcpy(text, value, length + 1);
  return true;
}

static bool read_number(const char* value, int32_t most, int32_t* number) {
  char* end;
  const long read = strtol(value, &end, 10);
  if (end == value || *end != '\0' || read < 1 || read > most) return false;
  *number = (int32_t)read;
  return true;
}

static bool read_power_of_two(const char* value, int32_t most,
                              int32_t* number) {
  return read_number(value, most, number) && (*number & (*number - 1)) == 0;
}

// The launch's part of read_option().
static const char* read_launch_option(const char* key, const char* value,
                                      SparsesepLaunch* launch) {
  if (strcmp(key, "lanes") == 0) {
    return read_power_of_two(value, SPARSESEP_MAX_LANES, &launch->lanes)
               ? NULL
               : "a power of two, 1 to 64";
  }
  if (strcmp(key, "group_size") == 0) {
    return read_power_of_two(value, SPARSESEP_MAX_GROUP_SIZE,
                             &launch->group_size)
               ? NULL
               : "a power of two, 1 to 1024";
  }
  return read_power_of_two(value, SPARSESEP_MAX_VECTORS, &launch->vectors)
             ? NULL
             : "1, 2, 4, 8";
}

static const char* read_switch(const char* value, bool* is_on) {
  static const char* const words[] = {"0", "1", NULL};
  const int number = word_number(value, words);
  *is_on = number == 1;
  return number < 0 ? "0, 1" : NULL;
}

// NULL, or what would be accepted in place of `value`.
static const char* read_option(const char* key, const char* value,
                               SparsesepDelegateOptions* options) {
  static const char* const backends[] = {"cpu", "opencl", NULL};
  static const char* const precisions[] = {"fp32", "fp16", NULL};
  static const char* const dense[] = {"tflm", "litert", NULL};
  int number = 0;
  if (strcmp(key, "backend") == 0) {
    number = word_number(value, backends);
    options->backend = number == 1 ? SPARSESEP_BACKEND_OPENCL  // 0: the CPU
                                   : SPARSESEP_BACKEND_CPU;
    return number < 0 ? "cpu, opencl" : NULL;
  }
  if (strcmp(key, "precision") == 0) {
    number = word_number(value, precisions);
    options->half = number == 1;
    return number < 0 ? "fp32, fp16" : NULL;
  }
  if (strcmp(key, "dense") == 0) {
    number = word_number(value, dense);
    options->leave_dense = number == 1;
    return number < 0 ? "tflm, litert" : NULL;
  }
  if (strcmp(key, "verbose") == 0) return read_switch(value, &options->verbose);
  if (strcmp(key, "tune") == 0) return read_switch(value, &options->tune);
  if (strcmp(key, "threads") == 0) {
    return read_number(value, SPARSESEP_MAX_THREADS, &options->threads)
               ? NULL
               : "1 to 64";
  }
  if (strcmp(key, "device") == 0) {
    return read_text(value, options->device) ? NULL : "at most 255 characters";
  }
  if (strcmp(key, "cache_dir") == 0) {
    return read_text(value, options->cache_dir) &&
                   (*value == '\0' || access(value, W_OK | X_OK) == 0)
               ? NULL
               : "a folder that can be written to, at most 255 characters";
  }
  return read_launch_option(key, value, &options->launch);
}

// What is wrong with options that are all right one by one; NULL: nothing.
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
  static const char* const known[] = {
      "backend", "device", "precision",  "cache_dir", "verbose", "threads",
      "tune",    "lanes",  "group_size", "vectors",   "dense",   NULL};
  const long cores = sysconf(_SC_NPROCESSORS_ONLN);
  memset(options, 0, sizeof(*options));
  options->backend = SPARSESEP_BACKEND_CPU;
  options->threads = cores < 1                     ? 1
                     : cores > DEFAULT_MAX_THREADS ? DEFAULT_MAX_THREADS
                                                   : (int32_t)cores;
  for (size_t i = 0; i < count; ++i) {
    const char* key = keys[i] == NULL ? "" : keys[i];
    const char* value = values[i] == NULL ? "" : values[i];
    if (word_number(key, known) < 0) {
      snprintf(message, message_bytes,
               "option %s is unknown; accepted: backend, device, precision, "
               "cache_dir, verbose, threads, tune, lanes, group_size, vectors, "
               "dense",
               key);
      return false;
    }
    const char* accepted = read_option(key, value, options);
    if (accepted != NULL) {
      snprintf(message, message_bytes, "option %s=%s is not accepted: %s", key,
               value, accepted);
      return false;
    }
  }
  const char* contradiction = find_contradiction(options);
  if (contradiction == NULL) return true;
  snprintf(message, message_bytes, "%s", contradiction);
  return false;
}
