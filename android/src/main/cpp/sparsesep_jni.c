// The native half of SparseSepDelegate.java.
#include <dlfcn.h>
#include <jni.h>
#include <stdint.h>
#include <stdlib.h>

typedef void* (*CreateDelegate)(const char* const* keys,
                                const char* const* values, size_t count,
                                void (*report)(const char*));
typedef void (*DestroyDelegate)(void* delegate);

#define MAX_OPTIONS 16

// What create has to say where it fails; creation is synchronised in Java.
static JNIEnv* reporting_env;

static void throw_message(JNIEnv* env, const char* message) {
  jclass kind = (*env)->FindClass(env, "java/lang/IllegalArgumentException");
  if (kind != NULL) (*env)->ThrowNew(env, kind, message);
}

static void report(const char* message) {
  throw_message(reporting_env, message);
}

static void* find(const char* name) {
  void* library = dlopen("libsparsesep_delegate.so", RTLD_NOW);
  return library == NULL ? NULL : dlsym(library, name);
}

// Chars of strings[i] for all i; those that could not be had are NULL.
static void get_chars(JNIEnv* env, jobjectArray strings, jsize count,
                      jstring* held, const char** chars) {
  for (jsize i = 0; i < count; ++i) {
    held[i] = (jstring)(*env)->GetObjectArrayElement(env, strings, i);
    chars[i] = (*env)->GetStringUTFChars(env, held[i], NULL);
  }
}

static void release_chars(JNIEnv* env, jsize count, const jstring* held,
                          const char** chars) {
  for (jsize i = 0; i < count; ++i) {
    if (chars[i] != NULL) {
      (*env)->ReleaseStringUTFChars(env, held[i], chars[i]);
    }
  }
}

JNIEXPORT jlong JNICALL Java_io_github_tflmsparsesep_SparseSepDelegate_create(
    JNIEnv* env, jclass kind, jobjectArray keys, jobjectArray values) {
  (void)kind;
  jstring held[2][MAX_OPTIONS];
  const char* chars[2][MAX_OPTIONS];
  const CreateDelegate create =
      (CreateDelegate)find("tflite_plugin_create_delegate");
  const jsize count = (*env)->GetArrayLength(env, keys);
  if (create == NULL || count > MAX_OPTIONS) {
    throw_message(env, create == NULL ? "libsparsesep_delegate.so is missing"
                                      : "more than 16 options");
    return 0;
  }
  get_chars(env, keys, count, held[0], chars[0]);
  get_chars(env, values, count, held[1], chars[1]);
  reporting_env = env;
  void* delegate = create(chars[0], chars[1], (size_t)count, report);
  release_chars(env, count, held[0], chars[0]);
  release_chars(env, count, held[1], chars[1]);
  return (jlong)(intptr_t)delegate;
}

JNIEXPORT void JNICALL Java_io_github_tflmsparsesep_SparseSepDelegate_destroy(
    JNIEnv* env, jclass kind, jlong handle) {
  (void)env;
  (void)kind;
  const DestroyDelegate destroy =
      (DestroyDelegate)find("tflite_plugin_destroy_delegate");
  if (destroy != NULL) destroy((void*)(intptr_t)handle);
}
